// SPDX-License-Identifier: Apache-2.0
// A program of the kernel's (BPF_PROG_TYPE_CGROUP_DEVICE) that decides which devices the processes of a cgroup of
// version 2 may open and make nodes of.
#pragma once

#include <linux/bpf.h>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <vector>

namespace husk {

inline constexpr unsigned device_reading = BPF_DEVCG_ACC_READ, device_writing = BPF_DEVCG_ACC_WRITE,
                          device_making = BPF_DEVCG_ACC_MKNOD,
                          any_device_access = device_reading | device_writing | device_making;

struct DeviceFilterRule {
  bool allow = false;
  std::optional<unsigned> type = {};  ///< BPF_DEVCG_DEV_CHAR or _BLOCK; empty: both
  std::optional<std::uint32_t> major = {}, minor = {};  ///< empty: all
  unsigned access = any_device_access;                  ///< bits, of the three above
};

/// The program returns 1 for an access that is allowed. Reading, writing and making a node are decided one by one: the last
/// rule that is about the device and this kind of access counts. What no rule allows is denied.
std::vector<bpf_insn> device_filter_program(const std::vector<DeviceFilterRule>& rules);

/// For the processes of `cgroup` and those below it, as long as the cgroup is there. A filter of another's holds as
/// well. Throws system.
void attach_device_filter(const std::filesystem::path& cgroup,
                          const std::vector<DeviceFilterRule>& rules);

}  // namespace husk
