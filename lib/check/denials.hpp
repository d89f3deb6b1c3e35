// SPDX-License-Identifier: Apache-2.0
// What AppArmor or SELinux refused to QEMU, libvirt or virtiofsd.
#pragma once

#include <chrono>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

namespace husk::check {

/// The host's clocks at one moment: a log has the time of day, or the time since the kernel started.
struct Moment {
  std::chrono::milliseconds since_1970{};
  std::chrono::milliseconds since_boot{};  ///< with the time that the host slept
};
Moment find_now();

struct Denial {
  std::string line;          ///< in printable ASCII, at most 300 bytes
  std::chrono::minutes age;  ///< rounded down
};

/// Whether a line of the kernel's log or of the audit log is about such a refusal.
bool is_denial(std::string_view line);

/// How long before `now` the line was written, by its "audit(SECONDS.MILLISECONDS:SERIAL)", or else by the third field of
/// a record of /dev/kmsg, which is without the time that the host slept. Empty: the line has neither. 0 for a
/// time that is still to come, as after a change of the clock.
std::optional<std::chrono::milliseconds> find_age(std::string_view line, const Moment& now);

/// The newest of these lines in the kernel's log ("/dev/kmsg", where no audit daemon takes them) and the audit log. Passes
/// over those without a time, of before the host's last boot, and older than an hour: what was refused may be allowed by
/// now. Empty: there is none, or no log can be read. Reads the last MiB of each.
std::optional<Denial> find_recent_denial(const std::filesystem::path& kernel_log,
                                         const std::filesystem::path& audit_log, const Moment& now);

}  // namespace husk::check
