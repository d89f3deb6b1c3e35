// SPDX-License-Identifier: Apache-2.0
#include "lib/hypervisor/vm_process.hpp"

#include <charconv>
#include <thread>
#include <vector>

#include "lib/base/cgroup_directories.hpp"
#include "lib/base/error.hpp"
#include "lib/base/files.hpp"
#include "lib/hypervisor/vm_files.hpp"

namespace husk::hypervisor {
namespace {

using namespace std::chrono_literals;
namespace fs = std::filesystem;

constexpr auto kill_patience = 5s;

void remove_machine_cgroups(const Driver& driver, const std::string& vm) noexcept {
  std::error_code error;
  for (const auto& hierarchy : fs::directory_iterator("/sys/fs/cgroup", error)) {
    std::error_code missing;
    for (const auto& machine : fs::directory_iterator(hierarchy.path() / "machine", missing)) {
      if (!driver.is_machine_cgroup(machine.path().filename().string(), vm)) continue;
      std::vector<fs::path> directories{machine.path()};
      for (const auto& part : fs::directory_iterator(machine.path(), missing)) {
        if (part.is_directory(missing)) directories.push_back(part.path());
      }
      remove_cgroups(directories);
    }
  }
}

}  // namespace

std::optional<ProcessIdentity> find_vm_process(const Driver& driver, const std::string& vm) try {
  const std::string text = read_file(driver.pid_file(vm), 64);
  pid_t pid = 0;
  std::from_chars(text.data(), text.data() + text.size(), pid);
  const auto process = identify_process(pid);
  // The file may be older than the process that has the pid now.
  const std::string arguments = read_file("/proc/" + std::to_string(pid) + "/cmdline", 65536);
  if (arguments.find(driver.process_mark(vm)) == std::string::npos) return std::nullopt;
  return process;
} catch (const Error&) {
  return std::nullopt;
}

bool end_vm_process(const ProcessIdentity& process) { return kill_process(process, kill_patience); }

bool is_forgotten(const Driver& driver, const std::string& vm) {
  return !fs::exists(driver.domain_file(vm));
}

bool await_forgotten(const Driver& driver, const std::string& vm) {
  for (int attempt = 0; attempt < 300; ++attempt) {
    if (is_forgotten(driver, vm)) return true;
    std::this_thread::sleep_for(10ms);
  }
  return false;
}

void remove_vm_traces(const Driver& driver, const std::string& vm) noexcept {
  remove_machine_cgroups(driver, vm);
  remove_vm_logs(driver, vm);
}

}  // namespace husk::hypervisor
