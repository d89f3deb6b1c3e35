// SPDX-License-Identifier: Apache-2.0
#include "lib/base/subprocess.hpp"

#include <linux/close_range.h>
#include <poll.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <boost/process/args.hpp>
#include <boost/process/child.hpp>
#include <boost/process/env.hpp>
#include <boost/process/exe.hpp>
#include <boost/process/extend.hpp>
#include <boost/process/io.hpp>
#include <climits>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <memory>

#include "lib/base/cancellation.hpp"
#include "lib/base/descriptors.hpp"
#include "lib/base/error.hpp"
#include "lib/base/exit_status.hpp"
#include "lib/base/files.hpp"

namespace husk {
namespace {

namespace bp = boost::process;

using Clock = std::chrono::steady_clock;

constexpr std::size_t max_output_bytes = 16384;
constexpr std::chrono::milliseconds drain_time{100};

struct FileCloser {
  void operator()(std::FILE* file) const noexcept { std::fclose(file); }
};
using File = std::unique_ptr<std::FILE, FileCloser>;

File open_stream(UniqueFd fd, const char* mode) {
  File file{::fdopen(fd.get(), mode)};
  if (!file) throw_errno("fdopen");
  fd.release();
  return file;
}

/// Keeps the input in memory instead of a pipe: a program that never reads it cannot block husk.
File make_input(const std::string& text) {
  UniqueFd fd{check_sys(::memfd_create("stdin", MFD_CLOEXEC), "memfd_create")};
  write_all(fd.get(), text);
  check_sys(::lseek(fd.get(), 0, SEEK_SET), "lseek");
  return open_stream(std::move(fd), "r");
}

struct Output {
  UniqueFd read_end;
  File write_end;
};

Output make_output() {
  Pipe pipe = make_pipe();
  return {.read_end = std::move(pipe.read_end),
          .write_end = open_stream(std::move(pipe.write_end), "w")};
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

int milliseconds_until(Clock::time_point deadline) {
  if (deadline == Clock::time_point::max()) return -1;
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now()).count();
  return static_cast<int>(std::clamp<long long>(left, 0, INT_MAX));
}

/// Reads once, and keeps the end of the output; false at end of file.
bool read_some(int fd, std::string& output) {
  std::array<char, 4096> buffer{};
  const ssize_t got = ::read(fd, buffer.data(), buffer.size());
  if (got > 0) output.append(buffer.data(), static_cast<std::size_t>(got));
  if (output.size() > max_output_bytes) output.erase(0, output.size() - max_output_bytes);
  return got > 0 || (got < 0 && errno == EINTR);
}

/// Reads until the program has exited and its output ended; false when `deadline` came first. Not
/// Boost's wait_for, which installs a SIGCHLD wait of its own.
bool read_until_exit(pid_t pid, int output_fd, Clock::time_point deadline, std::string& output) {
  const UniqueFd pidfd{
      static_cast<int>(check_sys(::syscall(SYS_pidfd_open, pid, 0), "pidfd_open"))};
  bool running = true, open = true;
  while (running || open) {
    std::array<pollfd, 3> polled{{{running ? pidfd.get() : -1, POLLIN, 0},
                                  {open ? output_fd : -1, POLLIN, 0},
                                  {cancellation_fd(), POLLIN, 0}}};
    const int ready = ::poll(polled.data(), polled.size(), milliseconds_until(deadline));
    throw_if_cancelled();
    if (ready == 0) return !running;
    if (ready < 0) continue;
    if (polled[1].revents != 0) open = read_some(output_fd, output);
    if (polled[0].revents != 0) {
      running = false;
      // A daemon that it left behind may hold the pipe for ever.
      deadline = std::min(deadline, Clock::now() + drain_time);
    }
    if (Clock::now() >= deadline) return !running;  // endless output must not outrun it
  }
  return true;
}

/// Restores the signals that a program may expect, whatever husk has blocked or ignored.
void reset_child(pid_t parent) {
  // A killed husk takes its hooks with it: clean-up must not meet them.
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(EXIT_FAILURE);  // it ended before
  ::setpgid(0, 0);
  // Not Boost's limit_handles, which closes the pipe on which a failing exec is reported as well.
  ::syscall(SYS_close_range, 3U, ~0U, CLOSE_RANGE_CLOEXEC);
  ::signal(SIGPIPE, SIG_DFL);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
}

/// Runs in the child, where other threads' locks may be held for ever: system calls and nothing else.
bool enter_namespaces(int process) {
  return ::setns(process, CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS) == 0 &&
         ::unshare(CLONE_NEWNS) == 0 &&
         ::mount(nullptr, "/", nullptr, MS_REC | MS_SLAVE, nullptr) == 0;
}

void end_group(bp::child& child) {
  ::kill(-child.id(), SIGKILL);
  std::error_code ignored;
  child.wait(ignored);
}

}  // namespace

SubprocessResult run_subprocess(const Subprocess& subprocess) {
  const File input = make_input(subprocess.stdin_text);
  Output output = make_output();
  std::string argv0 = subprocess.argv0.value_or(subprocess.program);
  std::error_code error;
  const pid_t parent = ::getpid();
  bp::child child(
      bp::exe = subprocess.program, bp::args = subprocess.arguments, make_environment(subprocess),
      bp::std_in<input.get(), (bp::std_out & bp::std_err)> output.write_end.get(), error,
      bp::extend::on_exec_setup = [&argv0, &subprocess, parent](auto& executor) {
        reset_child(parent);
        if (subprocess.namespaces_of >= 0 && !enter_namespaces(subprocess.namespaces_of)) {
          // The way on which Boost reports a failing exec; it would go on and execute.
          executor.set_error(std::error_code(errno, std::system_category()), "namespaces");
          ::_exit(EXIT_FAILURE);
        }
        // Hooks are told apart by their argv[0] (Docker's libnetwork-setkey), which Boost makes the
        // path.
        const_cast<char*&>(executor.cmd_line[0]) = argv0.data();
      });
  if (error)
    throw_errno("start " + subprocess.program +
                    (subprocess.namespaces_of < 0 ? "" : " in the namespaces of a process"),
                error.value());
  output.write_end.reset();
  SubprocessResult result;
  const auto deadline =
      subprocess.timeout ? Clock::now() + *subprocess.timeout : Clock::time_point::max();
  bool in_time = false;
  try {
    in_time = read_until_exit(child.id(), output.read_end.get(), deadline, result.output);
  } catch (...) {
    end_group(child);
    throw;
  }
  if (!in_time) ::kill(-child.id(), SIGKILL);
  child.wait(error);
  if (!in_time)
    throw Error(Errc::timed_out, subprocess.program + " did not end within " +
                                     std::to_string(subprocess.timeout->count()) + " ms");
  result.status = exit_status(child.native_exit_code());
  return result;
}

}  // namespace husk
