// SPDX-License-Identifier: Apache-2.0
#include "lib/check/denials.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <sstream>

#include "lib/base/text.hpp"
#include "lib/base/unique_fd.hpp"

namespace husk::check {
namespace {

constexpr std::size_t max_log_bytes = 1U << 20, max_line_bytes = 300;

bool has(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

/// /dev/kmsg gives one record for each read(2), and EPIPE for records that were overwritten meanwhile.
std::string read_end(const std::filesystem::path& path) {
  const UniqueFd log{::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC)};
  if (!log) return {};
  if (const off_t size = ::lseek(log.get(), 0, SEEK_END);
      size > static_cast<off_t>(max_log_bytes)) {
    ::lseek(log.get(), size - static_cast<off_t>(max_log_bytes), SEEK_SET);
  } else {
    ::lseek(log.get(), 0, SEEK_SET);
  }
  std::string text;
  std::array<char, 8192> record{};
  for (;;) {
    const ssize_t size = ::read(log.get(), record.data(), record.size());
    if (size < 0 && (errno == EPIPE || errno == EINTR)) continue;
    if (size <= 0) return text;
    text.append(record.data(), static_cast<std::size_t>(size));
    if (text.size() > 2 * max_log_bytes) text.erase(0, max_log_bytes);
  }
}

}  // namespace

bool is_denial(std::string_view line) {
  const bool is_apparmor = has(line, "apparmor=\"DENIED\"");
  const bool is_selinux = has(line, "avc:") && has(line, "denied");
  if (!is_apparmor && !is_selinux) return false;
  return has(line, "libvirt") || has(line, "virt-aa-helper") || has(line, "virtqemud") ||
         has(line, "qemu") || has(line, "svirt_") || has(line, "virtiofsd") || has(line, "husk");
}

std::string find_last_denial(const std::filesystem::path& kernel_log,
                             const std::filesystem::path& audit_log) {
  std::string last;
  for (const std::filesystem::path& path : {audit_log, kernel_log}) {
    std::istringstream lines(read_end(path));
    for (std::string line; std::getline(lines, line);)
      if (is_denial(line)) last = line;
  }
  return one_plain_line(last.substr(0, max_line_bytes));
}

}  // namespace husk::check
