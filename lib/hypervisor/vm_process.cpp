// SPDX-License-Identifier: Apache-2.0
#include "lib/hypervisor/vm_process.hpp"

#include <charconv>
#include <exception>
#include <sstream>
#include <thread>

#include "lib/base/cgroup_directories.hpp"
#include "lib/base/error.hpp"
#include "lib/base/files.hpp"
#include "lib/base/log.hpp"
#include "lib/hypervisor/vm_logs.hpp"

namespace husk::hypervisor {
namespace {

using namespace std::chrono_literals;
namespace fs = std::filesystem;

constexpr auto kill_patience = 5s;

/// Parents first. libvirt's own folders below a VM's are a few levels deep.
void add_with_children(const fs::path& directory, std::vector<fs::path>& found) {
  found.push_back(directory);
  std::error_code missing;
  for (const auto& part : fs::directory_iterator(directory, missing))
    if (part.is_directory(missing) && !part.is_symlink(missing))
      add_with_children(part.path(), found);
}

void add_machines_in(const fs::path& hierarchy, const Driver& driver, const std::string& vm,
                     std::vector<fs::path>& found) {
  std::error_code missing;
  for (const auto& machine : fs::directory_iterator(hierarchy / "machine", missing))
    if (driver.is_machine_cgroup(machine.path().filename().string(), vm))
      add_with_children(machine.path(), found);
}

}  // namespace

std::vector<fs::path> find_machine_cgroups(const fs::path& mount_point, const Driver& driver,
                                           const std::string& vm) {
  std::vector<fs::path> found;
  add_machines_in(mount_point, driver, vm, found);  // cgroup v2 alone
  std::error_code error;
  for (const auto& hierarchy : fs::directory_iterator(mount_point, error))
    add_machines_in(hierarchy.path(), driver, vm, found);
  return found;
}

std::optional<ProcessIdentity> read_process_file(const fs::path& path) try {
  std::istringstream text(read_file(path, 64));
  ProcessIdentity process;
  if (!(text >> process.pid >> process.start_time)) return std::nullopt;
  return identify_process(process.pid) == process ? std::optional(process) : std::nullopt;
} catch (const Error&) {
  return std::nullopt;
}

std::optional<ProcessIdentity> find_vm_process(const Driver& driver, const std::string& vm,
                                               const fs::path& directory) try {
  if (driver.process_file != nullptr) return read_process_file(directory / driver.process_file);
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
  try {
    remove_cgroups(find_machine_cgroups("/sys/fs/cgroup", driver, vm));
  } catch (const std::exception& e) {  // no memory, or the directory changes while it is read
    log(LogLevel::debug, "cgroups of " + vm + ": " + e.what());
  }
  std::error_code ignored;
  for (const fs::path& file : driver.run_files(vm)) fs::remove(file, ignored);
  remove_vm_logs(driver, vm);
}

}  // namespace husk::hypervisor
