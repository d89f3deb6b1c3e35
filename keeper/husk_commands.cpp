// SPDX-License-Identifier: Apache-2.0
#include "keeper/husk_commands.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <csignal>
#include <sstream>
#include <string>

#include "lib/base/deadline.hpp"
#include "lib/base/descriptors.hpp"
#include "lib/base/error.hpp"

namespace husk::keeper {
namespace {

constexpr std::chrono::seconds list_patience{10};
constexpr std::size_t max_list_bytes = 64U << 10;

/// Never returns: this process becomes husk.
[[noreturn]] void execute_husk(const handoff::KeeperBegin& begin, const char* command) {
  const std::array<const char*, 5> argv{"husk", "internal", command, begin.vm_id.c_str(), nullptr};
  const std::array<const char*, 2> environment{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", nullptr};
  ::syscall(SYS_execveat, begin.husk.get(), "", argv.data(), environment.data(), AT_EMPTY_PATH);
  ::_exit(127);
}

/// Kills and reaps the child on destruction, if it still runs.
class Child {
 public:
  /// output: the child's standard output.
  Child(const handoff::KeeperBegin& begin, const char* command, int output) {
    const pid_t keeper = ::getpid();
    pid_ = check_sys(::fork(), "fork");
    if (pid_ != 0) return;
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != keeper) ::_exit(1);
    if (output >= 0) ::dup2(output, STDOUT_FILENO);
    execute_husk(begin, command);
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  ~Child() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    wait();
  }
  /// The exit status, as waitpid(2) has it.
  int wait() {
    int status = 0;
    while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
    }
    pid_ = -1;
    return status;
  }

 private:
  pid_t pid_ = -1;
};

/// Throws timed_out, and invalid_argument for more than max_list_bytes.
std::string read_to_end(int fd) {
  const Deadline deadline(list_patience);
  std::string text;
  std::array<char, 4096> buffer;
  for (;;) {
    pollfd polled{fd, POLLIN, 0};
    if (::poll(&polled, 1, deadline.poll_timeout()) == 0)
      throw Error(Errc::timed_out, "husk did not list the shims in time");
    const ssize_t count = ::read(fd, buffer.data(), buffer.size());
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return text;
    text.append(buffer.data(), static_cast<std::size_t>(count));
    if (text.size() > max_list_bytes) throw Error(Errc::invalid_argument, "too many shims");
  }
}

/// Lines "PID START_TIME".
std::vector<ProcessIdentity> list_shims(const handoff::KeeperBegin& begin) {
  Pipe pipe = make_pipe();
  Child husk(begin, "list-shims", pipe.write_end.get());
  pipe.write_end.reset();
  std::istringstream lines(read_to_end(pipe.read_end.get()));
  if (husk.wait() != 0) throw Error(Errc::system, "husk could not list the shims");
  std::vector<ProcessIdentity> shims;
  for (ProcessIdentity shim; lines >> shim.pid >> shim.start_time;) shims.push_back(shim);
  return shims;
}

}  // namespace

Duties call_husk(const handoff::KeeperBegin& begin) {
  if (!begin.husk) return {};
  return {.on_change = [&begin] { execute_husk(begin, "follow-network"); },
          .on_connection =
              [&begin](UniqueFd connection) {
                ::dup2(connection.get(), STDIN_FILENO);
                execute_husk(begin, "forward-connection");
              },
          .find_shims = [&begin] { return list_shims(begin); },
          .end_abandoned = [&begin] { Child(begin, "end-abandoned", -1).wait(); }};
}

}  // namespace husk::keeper
