// SPDX-License-Identifier: Apache-2.0
// What AppArmor or SELinux refused to QEMU, libvirt or virtiofsd.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace husk::check {

/// Whether a line of the kernel's log or of the audit log is about such a refusal.
bool is_denial(std::string_view line);

/// The last such line of the kernel's log ("/dev/kmsg", where no audit daemon takes them) or of the audit log, in
/// printable ASCII and at most 300 bytes; empty: there is none, or no log can be read. Reads the last MiB of each.
std::string find_last_denial(const std::filesystem::path& kernel_log,
                             const std::filesystem::path& audit_log);

}  // namespace husk::check
