// SPDX-License-Identifier: Apache-2.0
#include "cli/report.hpp"

#include <fcntl.h>
#include <unistd.h>

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

}  // namespace

void print(std::string_view text) {
  step("write to stdout", [&] { write_all(STDOUT_FILENO, text); });
}

void append_log_entry(const GlobalOptions& options, std::string_view level,
                      std::string_view message) {
  if (!options.log) return;
  const std::string time = rfc3339_now();
  std::string line;
  if (options.log_format == "json") {
    line = "{\"level\":\"" + std::string(level) + "\",\"msg\":" + json_string(message) +
           ",\"time\":\"" + time + "\"}\n";
  } else {
    line =
        "time=\"" + time + "\" level=" + std::string(level) + " msg=" + json_string(message) + "\n";
  }
  const UniqueFd fd{
      check_sys(::open(options.log->c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644),
                "open log " + options.log->string())};
  write_all(fd.get(), line);
}

void report_error(const GlobalOptions& options, const std::string& message) noexcept {
  try {
    const std::string line = one_line(message);
    try {
      append_log_entry(options, "error", line);
    } catch (const std::exception& e) {
      write_all(STDERR_FILENO, std::string(e.what()) + "\n");
    }
    write_all(STDERR_FILENO, line + "\n");
  } catch (const std::exception&) {
    // stderr is gone: nobody is left to tell
  }
}

}  // namespace husk::cli
