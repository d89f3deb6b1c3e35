// SPDX-License-Identifier: Apache-2.0
// Ending a VM without libvirt, and knowing that it has ended: works whatever state libvirt is in,
// and costs none of the time that libvirt does.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "lib/base/process.hpp"
#include "lib/hypervisor/driver.hpp"

namespace husk::hypervisor {

/// The process that runs the VM of that name, by libvirt's pid file or the driver's file in the VM's directory; empty if
/// there is none.
std::optional<ProcessIdentity> find_vm_process(const Driver& driver, const std::string& vm,
                                               const std::filesystem::path& directory);

/// The process of a file "PID START_TIME"; empty where there is no such file or process.
std::optional<ProcessIdentity> read_process_file(const std::filesystem::path& path);

/// Kills by SIGKILL: a hypervisor that shuts its VM down in good order does nothing that is needed, and takes
/// longer. False if the process has not ended after 5 s.
bool end_vm_process(const ProcessIdentity& process);

/// Whether libvirt has noticed the end of the VM.
bool is_forgotten(const Driver& driver, const std::string& vm);
/// Waits up to 3 s for that. False if it has not.
bool await_forgotten(const Driver& driver, const std::string& vm);

/// The cgroups that libvirt makes for the VM where there is no systemd, parents first: in
/// `mount_point`/machine (cgroup v2 alone) and in `mount_point`/HIERARCHY/machine (v1 and both).
std::vector<std::filesystem::path> find_machine_cgroups(const std::filesystem::path& mount_point,
                                                        const Driver& driver,
                                                        const std::string& vm);

/// Removes what libvirt leaves of an ended VM: logs that it keeps for ever, cgroups, which it
/// tries to remove once, and fails while the hypervisor's last thread is still on its way out, and the run_files() that a
/// restarted daemon does not know.
void remove_vm_traces(const Driver& driver, const std::string& vm) noexcept;

}  // namespace husk::hypervisor
