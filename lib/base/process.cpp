// SPDX-License-Identifier: Apache-2.0
#include "lib/base/process.hpp"

#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <csignal>
#include <sstream>
#include <string>

#include "lib/base/error.hpp"
#include "lib/base/files.hpp"

namespace husk {
namespace {

bool wait_on(int pidfd, std::chrono::milliseconds patience) {
  pollfd event{.fd = pidfd, .events = POLLIN, .revents = 0};
  return ::poll(&event, 1, static_cast<int>(patience.count())) > 0;
}

}  // namespace

std::optional<ProcessIdentity> identify_process(pid_t pid) {
  if (pid <= 0) return std::nullopt;
  std::string stat;
  try {
    stat = read_file("/proc/" + std::to_string(pid) + "/stat", 4096);
  } catch (const Error&) {
    return std::nullopt;  // gone, perhaps between open and read (ESRCH)
  }
  // proc(5): "pid (comm) state ppid ...": comm may hold anything, so count from its last ')'.
  const std::size_t end = stat.rfind(')');
  if (end == std::string::npos) return std::nullopt;
  std::istringstream fields(stat.substr(end + 1));
  std::string state, skipped;
  fields >> state;
  if (state == "Z" || state == "X" || state == "x") return std::nullopt;
  for (int field = 4; field < 22; ++field) fields >> skipped;
  ProcessIdentity process{.pid = pid};
  if (!(fields >> process.start_time)) return std::nullopt;
  return process;
}

bool is_alive(const ProcessIdentity& process) { return identify_process(process.pid) == process; }

UniqueFd open_process(const ProcessIdentity& process) {
  UniqueFd fd{static_cast<int>(::syscall(SYS_pidfd_open, process.pid, 0))};
  // Looked at after the opening: the pid cannot be given to another process while it is the same
  // one.
  if (fd && !is_alive(process)) fd.reset();
  return fd;
}

bool wait_for_end(const ProcessIdentity& process, std::chrono::milliseconds patience) {
  const UniqueFd fd = open_process(process);
  return !fd || wait_on(fd.get(), patience);
}

bool kill_process(const ProcessIdentity& process, std::chrono::milliseconds patience) {
  const UniqueFd fd = open_process(process);
  if (!fd) return true;
  ::syscall(SYS_pidfd_send_signal, fd.get(), SIGKILL, nullptr, 0);
  return wait_on(fd.get(), patience);
}

}  // namespace husk
