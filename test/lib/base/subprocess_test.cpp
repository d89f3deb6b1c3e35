// SPDX-License-Identifier: Apache-2.0
#include "lib/base/subprocess.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

#include "lib/base/detach.hpp"
#include "lib/base/error.hpp"
#include "lib/base/process.hpp"
#include "lib/base/unique_fd.hpp"
#include "test/lib/base/scratch.hpp"

using namespace husk;
using namespace std::chrono_literals;

namespace {

Subprocess shell(const std::string& script) {
  Subprocess command;
  command.program = "/bin/sh";
  command.arguments = {"-c", script};
  return command;
}

std::string slurp(const std::filesystem::path& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

}  // namespace

TEST_CASE("subprocess: exit code, or 128 and the signal", "[base]") {
  CHECK(run_subprocess(shell("exit 0")).status == 0);
  CHECK(run_subprocess(shell("exit 37")).status == 37);
  CHECK(run_subprocess(shell("kill -KILL $$")).status == 137);
}

TEST_CASE("subprocess: input goes in, both outputs come out in order", "[base]") {
  Subprocess command = shell("cat; echo error >&2; echo done");
  command.stdin_text = std::string(300000, 'x') + "\n";
  const SubprocessResult result = run_subprocess(command);
  CHECK(result.output.size() == 16384);  // the end of it
  CHECK(result.output.ends_with("x\nerror\ndone\n"));
}

TEST_CASE("subprocess: input that nobody reads does not block", "[base]") {
  Subprocess command = shell("exit 3");
  command.stdin_text = std::string(10 << 20, 'x');
  CHECK(run_subprocess(command).status == 3);
}

TEST_CASE("subprocess: argv[0] and environment are as given", "[base]") {
  Subprocess command = shell("echo \"$0\"; env");
  command.argv0 = "hook name";
  command.environment = std::vector<std::string>{"A=1", "B=x=y"};
  const std::string output = run_subprocess(command).output;
  CHECK(output.starts_with("hook name\n"));
  CHECK(output.find("A=1\n") != std::string::npos);
  CHECK(output.find("B=x=y\n") != std::string::npos);
  CHECK(output.find("HOME=") == std::string::npos);
}

TEST_CASE("subprocess: the time limit kills it with its children", "[base]") {
  const test::Scratch scratch;
  Subprocess command =
      shell("sleep 987 & echo $! >" + (scratch.path() / "pid").string() + "; wait");
  command.timeout = 300ms;
  const auto start = std::chrono::steady_clock::now();
  try {
    run_subprocess(command);
    FAIL("nothing was thrown");
  } catch (const Error& e) {
    CHECK(e.code() == Errc::timed_out);
    CHECK(std::string(e.what()).starts_with("/bin/sh"));
  }
  CHECK(std::chrono::steady_clock::now() - start < 3s);
  const pid_t grandchild = std::stoi(slurp(scratch.path() / "pid"));
  for (int tries = 0; tries < 100 && identify_process(grandchild); ++tries)
    std::this_thread::sleep_for(10ms);
  CHECK_FALSE(identify_process(grandchild).has_value());
}

TEST_CASE("subprocess: endless output neither fills memory nor outruns the time limit", "[base]") {
  Subprocess command;
  command.program = "/usr/bin/yes";
  command.timeout = 300ms;
  const auto start = std::chrono::steady_clock::now();
  CHECK_THROWS_AS(run_subprocess(command), Error);
  CHECK(std::chrono::steady_clock::now() - start < 3s);
}

TEST_CASE("subprocess: a daemon that keeps the output open does not keep us", "[base]") {
  const auto start = std::chrono::steady_clock::now();
  const SubprocessResult result = run_subprocess(shell("echo $$; sleep 3 & echo started"));
  CHECK(result.output.ends_with("started\n"));
  CHECK(std::chrono::steady_clock::now() - start < 2s);
}

TEST_CASE("subprocess: what is not there or no program is an error that names it", "[base]") {
  const test::Scratch scratch;
  std::ofstream(scratch.path() / "text") << "not a program";
  for (const auto& path : {scratch.path() / "missing", scratch.path() / "text", scratch.path()}) {
    Subprocess command;
    command.program = path.string();
    try {
      run_subprocess(command);
      FAIL("nothing was thrown");
    } catch (const Error& e) {
      CHECK(std::string(e.what()).find(path.string()) != std::string::npos);
    }
  }
}

TEST_CASE("subprocess: only the three streams are open in it", "[base]") {
  constexpr int careless = 77;  // not close-on-exec; 3 would be the shell's own
  REQUIRE(::dup2(0, careless) == careless);
  const std::string output =
      run_subprocess(shell("for f in /proc/$$/fd/*; do echo ${f##*/}; done")).output;
  ::close(careless);
  CHECK(output.find(std::to_string(careless) + "\n") == std::string::npos);
  CHECK(output.starts_with("0\n1\n2\n"));
}

TEST_CASE("subprocess: what cannot enter the namespaces is not executed", "[base]") {
  const test::Scratch scratch;
  Subprocess command = shell("touch " + (scratch.path() / "ran").string());
  command.namespaces_of = 0;  // no pidfd
  try {
    run_subprocess(command);
    FAIL("nothing was thrown");
  } catch (const Error& e) {
    CHECK(std::string(e.what()).starts_with("start /bin/sh in the namespaces of a process: "));
  }
  CHECK_FALSE(std::filesystem::exists(scratch.path() / "ran"));
}

TEST_CASE("subprocess: it ends with its caller, where that is killed", "[base]") {
  const husk::test::Scratch scratch;
  const std::filesystem::path file = scratch.path() / "pid";
  const pid_t caller = ::fork();
  if (caller == 0) {
    run_subprocess(shell("echo $$ > " + file.string() + "; exec sleep 1000"));
    ::_exit(0);
  }
  for (int n = 0; n < 500 && !slurp(file).ends_with("\n"); ++n) std::this_thread::sleep_for(10ms);
  const auto program = identify_process(std::stoi(slurp(file)));
  REQUIRE(program);
  CHECK(is_alive(*program));
  ::kill(caller, SIGKILL);
  ::waitpid(caller, nullptr, 0);
  for (int n = 0; n < 500 && is_alive(*program); ++n) std::this_thread::sleep_for(10ms);
  CHECK_FALSE(is_alive(*program));
  if (is_alive(*program)) ::kill(program->pid, SIGKILL);
}

TEST_CASE("detach: a detached process has nothing of its maker", "[base]") {
  const test::Scratch scratch;
  const std::string report = (scratch.path() / "report").string();
  ::umask(0077);
  ::signal(SIGUSR1, SIG_IGN);
  const UniqueFd careless(::fcntl(0, F_DUPFD, 77));  // a number that the shell does not use itself
  const UniqueFd kept(::open("/dev/full", O_RDONLY));
  const pid_t child = ::fork();
  if (child == 0) {
    try {
      detach_process({kept.get()});
      const std::string script =
          "{ pwd; umask; cut -d' ' -f6 /proc/$$/stat; echo $$; readlink /proc/$$/fd/0 "
          "/proc/$$/fd/" +
          std::to_string(kept.get()) +
          "; ls /proc/$$/fd | tr '\\n' ' '; grep SigIgn /proc/$$/status; } >" + report;
      ::execl("/bin/sh", "sh", "-c", script.c_str(), nullptr);
    } catch (const Error&) {
    }
    ::_exit(1);
  }
  ::umask(0022);
  ::signal(SIGUSR1, SIG_DFL);
  int status = 0;
  ::waitpid(child, &status, 0);
  REQUIRE(status == 0);
  std::istringstream lines(slurp(report));
  std::string cwd, mask, session, pid, stream, keep, rest;
  lines >> cwd >> mask >> session >> pid >> stream >> keep;
  std::getline(lines >> std::ws, rest, '\0');
  CHECK(cwd == "/");
  CHECK(mask == "0022");
  CHECK(session == pid);
  CHECK(stream == "/dev/null");
  CHECK(keep == "/dev/full");
  CHECK(rest.find(" " + std::to_string(careless.get()) + " ") == std::string::npos);
  CHECK(rest.find("SigIgn:\t0000000000000000") != std::string::npos);
}
