// SPDX-License-Identifier: Apache-2.0
#include "lib/runtime/vm_process.hpp"

#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <charconv>
#include <csignal>

#include "lib/base/error.hpp"
#include "lib/base/files.hpp"

namespace husk::runtime {
namespace {

constexpr std::chrono::milliseconds term_patience{3000};
constexpr std::chrono::milliseconds kill_patience{5000};

bool wait_on(int pidfd, std::chrono::milliseconds patience) {
  pollfd event{.fd = pidfd, .events = POLLIN, .revents = 0};
  return ::poll(&event, 1, static_cast<int>(patience.count())) > 0;
}

void send(int pidfd, int signal) { ::syscall(SYS_pidfd_send_signal, pidfd, signal, nullptr, 0); }

}  // namespace

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

std::optional<ProcessIdentity> find_vm_process(const std::string& name) try {
  const std::string text = read_file("/run/libvirt/qemu/" + name + ".pid", 64);
  pid_t pid = 0;
  std::from_chars(text.data(), text.data() + text.size(), pid);
  const auto process = identify_process(pid);
  // The file may be older than the process that has the pid now.
  const std::string arguments = read_file("/proc/" + std::to_string(pid) + "/cmdline", 65536);
  if (arguments.find("guest=" + name + ",") == std::string::npos) return std::nullopt;
  return process;
} catch (const Error&) {
  return std::nullopt;
}

bool kill_process(const ProcessIdentity& process, std::chrono::milliseconds patience) {
  const UniqueFd fd = open_process(process);
  if (!fd) return true;
  send(fd.get(), SIGKILL);
  return wait_on(fd.get(), patience);
}

bool end_vm_process(const ProcessIdentity& process) {
  const UniqueFd fd = open_process(process);
  if (!fd) return true;
  send(fd.get(), SIGTERM);
  if (wait_on(fd.get(), term_patience)) return true;
  send(fd.get(), SIGKILL);
  return wait_on(fd.get(), kill_patience);
}

}  // namespace husk::runtime
