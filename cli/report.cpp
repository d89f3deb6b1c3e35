// SPDX-License-Identifier: Apache-2.0
#include "cli/report.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "lib/base/error.hpp"
#include "lib/base/files.hpp"
#include "lib/base/text.hpp"
#include "lib/base/time.hpp"

namespace husk::cli {
namespace {

std::string json_string(std::string_view text) {
  return nlohmann::json(std::string(text))
      .dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

std::string json_line(const LogEntry& entry) {
  std::string line = "{\"level\":\"" + std::string(entry.level) +
                     "\",\"msg\":" + json_string(entry.message) + ",\"time\":\"" + rfc3339_now() +
                     "\"";
  if (!entry.created_id.empty()) line += ",\"id\":" + json_string(entry.created_id);
  return line + "}\n";
}

std::string text_line(const LogEntry& entry) {
  return "time=\"" + rfc3339_now() + "\" level=" + std::string(entry.level) +
         " msg=" + json_string(entry.message) + "\n";
}

bool is_of(std::string_view line, std::string_view id) {
  const auto entry = nlohmann::json::parse(line, nullptr, /*allow_exceptions=*/false);
  const auto found = entry.is_object() ? entry.find("id") : entry.end();
  return found != entry.end() && found->is_string() && found->get_ref<const std::string&>() == id &&
         entry.size() == 4 && entry.contains("level") && entry.contains("msg") &&
         entry.contains("time");
}

/// How much of the text is left without the lines at its end that are of this id.
std::size_t without_last_entries(std::string_view text, std::string_view id) {
  std::size_t end = text.size();
  while (end > 0 && text[end - 1] == '\n') {
    const std::size_t before = end < 2 ? std::string_view::npos : text.rfind('\n', end - 2);
    const std::size_t begin = before == std::string_view::npos ? 0 : before + 1;
    if (!is_of(text.substr(begin, end - 1 - begin), id)) break;
    end = begin;
  }
  return end;
}

/// A log that cannot be read, or is no file, keeps them.
void drop_last_entries(const std::filesystem::path& log, std::string_view id) {
  if (id.empty()) return;
  struct stat status {};
  // Opening a FIFO would be seen by its reader.
  if (::lstat(log.c_str(), &status) != 0 || !S_ISREG(status.st_mode)) return;
  const UniqueFd fd{::open(log.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY)};
  if (!fd || ::fstat(fd.get(), &status) != 0 || !S_ISREG(status.st_mode)) return;
  constexpr off_t max_bytes = 64 << 10;
  const off_t from = std::max<off_t>(0, status.st_size - max_bytes);
  std::string text(static_cast<std::size_t>(status.st_size - from), '\0');
  const ssize_t n = ::pread(fd.get(), text.data(), text.size(), from);
  if (n < 0 || static_cast<std::size_t>(n) != text.size()) return;
  const std::size_t rest = without_last_entries(text, id);
  struct stat now {};
  const bool has_grown = ::fstat(fd.get(), &now) != 0 || now.st_size != status.st_size;
  if (rest != text.size() && !has_grown)
    check_sys(::ftruncate(fd.get(), from + static_cast<off_t>(rest)), "shorten " + log.string());
}

}  // namespace

void print(std::string_view text) {
  step("write to stdout", [&] { write_all(STDOUT_FILENO, text); });
}

void append_log_entry(const GlobalOptions& options, const LogEntry& entry) {
  if (options.log.empty()) return;
  const std::string line = options.log_format == "json" ? json_line(entry) : text_line(entry);
  const UniqueFd fd{
      check_sys(::open(options.log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644),
                "open log " + options.log.string())};
  write_all(fd.get(), line);
}

void report_error(const GlobalOptions& options, const std::string& message,
                  std::string_view created_id) noexcept {
  try {
    const std::string line = one_line(message);
    try {
      if (!options.log.empty() && options.log_format == "json" && !options.debug)
        drop_last_entries(options.log, created_id);
      append_log_entry(options, {"error", line, created_id});
    } catch (const std::exception& e) {
      write_all(STDERR_FILENO, std::string(e.what()) + "\n");
    }
    write_all(STDERR_FILENO, line + "\n");
  } catch (const std::exception&) {
    // stderr is gone: nobody is left to tell
  }
}

}  // namespace husk::cli
