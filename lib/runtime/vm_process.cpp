// SPDX-License-Identifier: Apache-2.0
#include "lib/runtime/vm_process.hpp"

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

}  // namespace

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

bool end_vm_process(const ProcessIdentity& process) {
  const UniqueFd fd = open_process(process);
  if (!fd) return true;
  ::syscall(SYS_pidfd_send_signal, fd.get(), SIGTERM, nullptr, 0);
  return wait_for_end(process, term_patience) || kill_process(process, kill_patience);
}

}  // namespace husk::runtime
