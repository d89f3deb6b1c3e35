// SPDX-License-Identifier: Apache-2.0
#include "agent/setup/capabilities.hpp"

#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <set>
#include <string_view>

#include "lib/base/error.hpp"
#include "lib/base/log.hpp"

namespace husk::agent {
namespace {

/// The names in the order of their numbers (linux/capability.h).
constexpr std::array<std::string_view, 41> names_by_number{"CHOWN",
                                                           "DAC_OVERRIDE",
                                                           "DAC_READ_SEARCH",
                                                           "FOWNER",
                                                           "FSETID",
                                                           "KILL",
                                                           "SETGID",
                                                           "SETUID",
                                                           "SETPCAP",
                                                           "LINUX_IMMUTABLE",
                                                           "NET_BIND_SERVICE",
                                                           "NET_BROADCAST",
                                                           "NET_ADMIN",
                                                           "NET_RAW",
                                                           "IPC_LOCK",
                                                           "IPC_OWNER",
                                                           "SYS_MODULE",
                                                           "SYS_RAWIO",
                                                           "SYS_CHROOT",
                                                           "SYS_PTRACE",
                                                           "SYS_PACCT",
                                                           "SYS_ADMIN",
                                                           "SYS_BOOT",
                                                           "SYS_NICE",
                                                           "SYS_RESOURCE",
                                                           "SYS_TIME",
                                                           "SYS_TTY_CONFIG",
                                                           "MKNOD",
                                                           "LEASE",
                                                           "AUDIT_WRITE",
                                                           "AUDIT_CONTROL",
                                                           "SETFCAP",
                                                           "MAC_OVERRIDE",
                                                           "MAC_ADMIN",
                                                           "SYSLOG",
                                                           "WAKE_ALARM",
                                                           "BLOCK_SUSPEND",
                                                           "AUDIT_READ",
                                                           "PERFMON",
                                                           "BPF",
                                                           "CHECKPOINT_RESTORE"};

bool kernel_knows(int capability) { return ::prctl(PR_CAPBSET_READ, capability, 0, 0, 0) >= 0; }

std::uint64_t mask_of(int capability) { return std::uint64_t{1} << capability; }

void raise_ambient(std::uint64_t ambient) {
  check_sys(::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0),
            "clear ambient capabilities");
  for (int capability = 0; kernel_knows(capability); ++capability) {
    if ((ambient & mask_of(capability)) == 0) continue;
    // Refused unless it is permitted and inheritable as well; runc goes on, too (warn_of_ignored).
    ::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability, 0, 0);
  }
}

}  // namespace

std::optional<int> find_capability(const std::string& name) {
  const std::string_view prefix = "CAP_";
  if (!name.starts_with(prefix)) return std::nullopt;
  for (std::size_t number = 0; number < names_by_number.size(); ++number) {
    if (names_by_number[number] == std::string_view(name).substr(prefix.size())) {
      return static_cast<int>(number);
    }
  }
  return std::nullopt;
}

std::uint64_t capability_mask(const std::vector<std::string>& names) {
  std::uint64_t mask = 0;
  for (const std::string& name : names) {
    if (const auto number = find_capability(name)) mask |= mask_of(*number);
  }
  return mask;
}

void warn_of_ignored(const oci::Capabilities& capabilities) {
  std::set<std::string> unknown;  // a name stands in up to five sets
  for (const auto* names :
       {&capabilities.bounding, &capabilities.effective, &capabilities.permitted,
        &capabilities.inheritable, &capabilities.ambient}) {
    for (const std::string& name : *names) {
      if (!find_capability(name)) unknown.insert(name.substr(0, 64));
    }
  }
  for (const std::string& name : unknown) {
    log(LogLevel::warning, "unknown capability " + name + " is ignored");
  }
  const std::uint64_t may_be_ambient =
      capability_mask(capabilities.permitted) & capability_mask(capabilities.inheritable);
  if ((capability_mask(capabilities.ambient) & ~may_be_ambient) != 0) {
    log(LogLevel::warning, "ambient capabilities that are not inheritable are ignored");
  }
}

void apply_bounding_set(const oci::Capabilities& capabilities) {
  const std::uint64_t keep = capability_mask(capabilities.bounding);
  for (int capability = 0; kernel_knows(capability); ++capability) {
    if ((keep & mask_of(capability)) != 0) continue;
    check_sys(::prctl(PR_CAPBSET_DROP, capability, 0, 0, 0),
              "drop capability " + std::to_string(capability));
  }
}

void apply_capabilities(const oci::Capabilities& capabilities) {
  std::uint64_t known = 0;
  for (int capability = 0; kernel_knows(capability); ++capability) known |= mask_of(capability);
  const std::uint64_t effective = known & capability_mask(capabilities.effective);
  const std::uint64_t permitted = known & capability_mask(capabilities.permitted);
  const std::uint64_t inheritable = known & capability_mask(capabilities.inheritable);
  struct __user_cap_header_struct header {
    _LINUX_CAPABILITY_VERSION_3, 0
  };
  std::array<struct __user_cap_data_struct, 2> data{};
  for (unsigned half = 0; half < data.size(); ++half) {
    data.at(half) = {static_cast<std::uint32_t>(effective >> 32 * half),
                     static_cast<std::uint32_t>(permitted >> 32 * half),
                     static_cast<std::uint32_t>(inheritable >> 32 * half)};
  }
  check_sys(::syscall(SYS_capset, &header, data.data()), "set capabilities");
  raise_ambient(capability_mask(capabilities.ambient));
}

}  // namespace husk::agent
