// SPDX-License-Identifier: Apache-2.0
#include "lib/base/process.hpp"

#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
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

/// The fields of a process or thread from "state" on; empty if it is gone.
std::string read_stat(const std::filesystem::path& directory) {
  try {
    const std::string stat = read_file(directory / "stat", 4096);
    // proc(5): "pid (comm) state ppid ...": comm may hold anything, so count from its last ')'.
    const std::size_t end = stat.rfind(')');
    return end == std::string::npos ? "" : stat.substr(end + 1);
  } catch (const Error&) {
    return {};  // gone, perhaps between open and read (ESRCH)
  }
}

/// A thread that is gone counts. proc(5): field 9 is the kernel's flags.
bool is_exiting(const std::filesystem::path& thread) {
  constexpr unsigned long exiting = 0x4;  // PF_EXITING (linux/sched.h)
  std::istringstream fields(read_stat(thread));
  std::string skipped;
  for (int field = 3; field < 9; ++field) fields >> skipped;
  unsigned long flags = 0;
  return !(fields >> flags) || (flags & exiting) != 0;
}

}  // namespace

std::optional<ProcessIdentity> identify_process(pid_t pid) {
  if (pid <= 0) return std::nullopt;
  std::istringstream fields(read_stat("/proc/" + std::to_string(pid)));
  std::string state, skipped;
  fields >> state;
  if (state == "Z" || state == "X" || state == "x") return std::nullopt;
  for (int field = 4; field < 22; ++field) fields >> skipped;
  ProcessIdentity process{.pid = pid};
  if (!(fields >> process.start_time)) return std::nullopt;
  return process;
}

std::optional<ProcessIdentity> identify_pidfd(int pidfd) try {
  const std::string info = read_file("/proc/self/fdinfo/" + std::to_string(pidfd), 4096);
  const std::size_t field = info.find("\nPid:");  // -1: it has ended; 0: in another pid namespace
  if (field == std::string::npos) return std::nullopt;
  pid_t pid = 0;
  std::istringstream(info.substr(field + 5)) >> pid;
  return identify_process(pid);
} catch (const Error&) {
  return std::nullopt;
}

std::vector<ProcessIdentity> children_of(const ProcessIdentity& process) try {
  const std::string pid = std::to_string(process.pid);
  std::istringstream pids(read_file("/proc/" + pid + "/task/" + pid + "/children", 4096));
  std::vector<ProcessIdentity> children;
  for (pid_t child = 0; pids >> child;)
    if (const auto identity = identify_process(child)) children.push_back(*identity);
  return children;
} catch (const Error&) {
  return {};
}

bool is_alive(const ProcessIdentity& process) { return identify_process(process.pid) == process; }

bool is_ending(pid_t pid) {
  if (pid <= 0) return true;
  std::error_code gone;
  const std::filesystem::path threads = "/proc/" + std::to_string(pid) + "/task";
  for (std::filesystem::directory_iterator one(threads, gone), end; !gone && one != end;
       one.increment(gone))
    if (!is_exiting(one->path())) return false;
  return true;
}

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
