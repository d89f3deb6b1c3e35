// SPDX-License-Identifier: Apache-2.0
#include "lib/check/denials.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstdint>
#include <ctime>
#include <sstream>

#include "lib/base/error.hpp"
#include "lib/base/text.hpp"
#include "lib/base/unique_fd.hpp"

namespace husk::check {
namespace {

constexpr std::size_t max_log_bytes = 1U << 20, max_line_bytes = 300;

constexpr std::chrono::hours recent{1};

std::chrono::milliseconds read_clock(clockid_t clock) {
  timespec time{};
  check_sys(::clock_gettime(clock, &time), "clock_gettime");
  return std::chrono::seconds(time.tv_sec) + std::chrono::milliseconds(time.tv_nsec / 1000000);
}

/// A number at the beginning of the text, up to `end`; empty: there is none. Takes both away.
std::optional<std::int64_t> take_count(std::string_view& text, char end) {
  std::int64_t number = 0;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  const auto size = static_cast<std::size_t>(stop - text.data());
  // The limit keeps the conversions below from an overflow.
  if (error != std::errc() || number < 0 || number > 1'000'000'000'000'000) return std::nullopt;
  if (size == text.size() || text[size] != end) return std::nullopt;
  text.remove_prefix(size + 1);
  return number;
}

/// Since 1970.
std::optional<std::chrono::milliseconds> find_audit_time(std::string_view line) {
  constexpr std::string_view mark = "audit(";
  const std::size_t begin = line.find(mark);
  if (begin == std::string_view::npos) return std::nullopt;
  line.remove_prefix(begin + mark.size());
  const auto seconds = take_count(line, '.');
  const auto milliseconds = seconds ? take_count(line, ':') : std::nullopt;
  if (!milliseconds) return std::nullopt;
  return std::chrono::seconds(*seconds) + std::chrono::milliseconds(*milliseconds);
}

/// Since boot: "PRIORITY,NUMBER,MICROSECONDS,FLAGS;TEXT".
std::optional<std::chrono::milliseconds> find_record_time(std::string_view line) {
  if (!take_count(line, ',') || !take_count(line, ',')) return std::nullopt;
  const auto microseconds = take_count(line, ',');
  if (!microseconds) return std::nullopt;
  return std::chrono::milliseconds(*microseconds / 1000);
}

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

Moment find_now() {
  return {.since_1970 = read_clock(CLOCK_REALTIME), .since_boot = read_clock(CLOCK_BOOTTIME)};
}

std::optional<std::chrono::milliseconds> find_age(std::string_view line, const Moment& now) {
  constexpr std::chrono::milliseconds none{0};
  if (const auto time = find_audit_time(line)) return std::max(none, now.since_1970 - *time);
  if (const auto time = find_record_time(line)) return std::max(none, now.since_boot - *time);
  return std::nullopt;
}

std::optional<Denial> find_recent_denial(const std::filesystem::path& kernel_log,
                                         const std::filesystem::path& audit_log,
                                         const Moment& now) {
  std::string last;
  std::chrono::milliseconds least = std::min<std::chrono::milliseconds>(recent, now.since_boot);
  for (const std::filesystem::path& path : {audit_log, kernel_log}) {
    std::istringstream lines(read_end(path));
    for (std::string line; std::getline(lines, line);) {
      if (!is_denial(line)) continue;
      const auto age = find_age(line, now);
      if (!age || *age > least) continue;
      least = *age;
      last = line;
    }
  }
  if (last.empty()) return std::nullopt;
  return Denial{.line = one_plain_line(last.substr(0, max_line_bytes)),
                .age = std::chrono::floor<std::chrono::minutes>(least)};
}

}  // namespace husk::check
