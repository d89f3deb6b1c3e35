// SPDX-License-Identifier: Apache-2.0
#include "lib/base/subprocess.hpp"

#include <poll.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <boost/process/args.hpp>
#include <boost/process/child.hpp>
#include <boost/process/env.hpp>
#include <boost/process/exe.hpp>
#include <boost/process/extend.hpp>
#include <boost/process/handles.hpp>
#include <boost/process/io.hpp>
#include <csignal>
#include <cstdio>
#include <memory>

#include "lib/base/error.hpp"
#include "lib/base/files.hpp"
#include "lib/base/unique_fd.hpp"

namespace husk {
namespace {

namespace bp = boost::process;

constexpr std::size_t max_output_bytes = 16384;

struct FileCloser {
  void operator()(std::FILE* file) const noexcept { std::fclose(file); }
};
using File = std::unique_ptr<std::FILE, FileCloser>;

/// In memory instead of a pipe: a daemon that the program leaves behind cannot keep us waiting for
/// end of file, and a full pipe cannot block either side.
File make_memory_file(const char* name) {
  UniqueFd fd{check_sys(::memfd_create(name, MFD_CLOEXEC), "memfd_create")};
  File file{::fdopen(fd.get(), "r+")};
  if (!file) throw_errno("fdopen");
  fd.release();
  return file;
}

bp::environment make_environment(const Subprocess& subprocess) {
  if (!subprocess.environment) return bp::environment(boost::this_process::environment());
  bp::environment environment;
  for (const std::string& entry : *subprocess.environment) {
    const std::size_t equals = entry.find('=');
    if (equals != std::string::npos)
      environment[entry.substr(0, equals)] = entry.substr(equals + 1);
  }
  return environment;
}

/// False when the time is over. Not Boost's wait_for, which installs a SIGCHLD wait of its own.
bool wait_until_exit(pid_t pid, const std::optional<std::chrono::milliseconds>& timeout) {
  const UniqueFd pidfd{
      static_cast<int>(check_sys(::syscall(SYS_pidfd_open, pid, 0), "pidfd_open"))};
  const auto deadline =
      std::chrono::steady_clock::now() + timeout.value_or(std::chrono::milliseconds{0});
  for (;;) {
    int patience = -1;
    if (timeout) {
      const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
          deadline - std::chrono::steady_clock::now());
      patience = static_cast<int>(std::max<std::int64_t>(0, left.count()));
    }
    pollfd event{.fd = pidfd.get(), .events = POLLIN, .revents = 0};
    const int ready = ::poll(&event, 1, patience);
    if (ready > 0) return true;
    if (ready == 0) return false;
  }
}

/// What a program may expect of the process that starts it, whatever ours has blocked or ignored.
void reset_child() {
  ::setpgid(0, 0);
  ::signal(SIGPIPE, SIG_DFL);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
}

std::string read_output(std::FILE* file) {
  const off_t size = ::lseek(::fileno(file), 0, SEEK_END);
  const off_t start = std::max<off_t>(0, size - static_cast<off_t>(max_output_bytes));
  ::lseek(::fileno(file), start, SEEK_SET);
  return read_all(::fileno(file), max_output_bytes, "output");
}

}  // namespace

SubprocessResult run_subprocess(const Subprocess& subprocess) {
  const File input = make_memory_file("stdin");
  write_all(::fileno(input.get()), subprocess.stdin_text);
  ::lseek(::fileno(input.get()), 0, SEEK_SET);
  const File output = make_memory_file("output");
  std::string argv0 = subprocess.argv0.value_or(subprocess.program);
  std::error_code error;
  bp::child child(
      bp::exe = subprocess.program, bp::args = subprocess.arguments, make_environment(subprocess),
      bp::std_in<input.get(), (bp::std_out & bp::std_err)> output.get(), bp::limit_handles, error,
      bp::extend::on_exec_setup = [&argv0](auto& executor) {
        reset_child();
        // Hooks are told apart by their argv[0] (Docker's libnetwork-setkey), which Boost makes the
        // path.
        const_cast<char*&>(executor.cmd_line[0]) = argv0.data();
      });
  if (error)
    throw Error(Errc::system, "start " + subprocess.program + ": " + error.message(),
                error.value());
  const bool in_time = wait_until_exit(child.id(), subprocess.timeout);
  if (!in_time) ::kill(-child.id(), SIGKILL);
  child.wait(error);
  if (!in_time) throw Error(Errc::timed_out, subprocess.program + " did not end in time");
  const int status = child.native_exit_code();
  SubprocessResult result;
  result.status = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
  result.output = read_output(output.get());
  return result;
}

}  // namespace husk
