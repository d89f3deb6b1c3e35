// SPDX-License-Identifier: Apache-2.0
#include "agent/container/report.hpp"

#include <unistd.h>

#include <array>
#include <cstdint>
#include <cstring>

#include "lib/base/files.hpp"

namespace husk::agent {
namespace {

constexpr char ready_mark = 'R';
constexpr char executing_mark = 'X';
constexpr char error_mark = 'E';
constexpr std::size_t header_bytes = 1 + 2 * sizeof(std::int32_t);
/// With the header under PIPE_BUF: written in one piece.
constexpr std::size_t max_text_bytes = 3500;

Error parse_error(std::string_view bytes) {
  if (bytes.size() < header_bytes || bytes[0] != error_mark) {
    return {Errc::internal, "the container's first process sent a malformed report"};
  }
  std::array<std::int32_t, 2> numbers{};
  std::memcpy(numbers.data(), bytes.data() + 1, sizeof numbers);
  return {static_cast<Errc>(numbers[0]), std::string(bytes.substr(header_bytes)), numbers[1]};
}

}  // namespace

void report_ready(int fd) { write_all(fd, std::string_view(&ready_mark, 1)); }

void report_executing(int fd) { write_all(fd, std::string_view(&executing_mark, 1)); }

void report_error(int fd, const Error& error) noexcept {
  std::array<char, header_bytes + max_text_bytes> record{};
  const std::array<std::int32_t, 2> numbers{static_cast<std::int32_t>(error.code()),
                                            error.sys_errno()};
  record[0] = error_mark;
  std::memcpy(record.data() + 1, numbers.data(), sizeof numbers);
  const std::size_t length = std::min(std::strlen(error.what()), max_text_bytes);
  std::memcpy(record.data() + header_bytes, error.what(), length);
  [[maybe_unused]] const ssize_t written = ::write(fd, record.data(), header_bytes + length);
}

Report parse_report(std::string_view bytes) {
  const auto take = [&](char mark) {
    const bool is_there = bytes.starts_with(mark);
    if (is_there) bytes.remove_prefix(1);
    return is_there;
  };
  Report report;
  report.ready = take(ready_mark);
  report.executing = report.ready && take(executing_mark);
  if (!bytes.empty()) report.error = parse_error(bytes);
  return report;
}

}  // namespace husk::agent
