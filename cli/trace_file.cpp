// SPDX-License-Identifier: Apache-2.0
#include "cli/trace_file.hpp"

#include <fcntl.h>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "lib/base/error.hpp"
#include "lib/base/files.hpp"
#include "lib/base/log.hpp"
#include "lib/base/trace.hpp"

namespace husk::cli {
namespace {

using nlohmann::json;

constexpr std::size_t max_spans = 4096;
/// Each row of the format is a thread of a process: here one row is husk, one the guest.
constexpr int husk_row = 1, guest_row = 2;

json name_of_row(int row, const char* name) {
  return {{"ph", "M"}, {"name", "process_name"}, {"pid", row}, {"args", {{"name", name}}}};
}

json event(const TraceSpan& span) {
  using Microseconds = std::chrono::duration<double, std::micro>;
  const int row = span.in_guest ? guest_row : husk_row;
  return {{"ph", "X"},
          {"name", span.name},
          {"ts", Microseconds(span.begin.time_since_epoch()).count()},
          {"dur", Microseconds(span.end - span.begin).count()},
          {"pid", row},
          {"tid", row}};
}

std::string chrome_trace() {
  json events = {name_of_row(husk_row, "husk"), name_of_row(guest_row, "guest")};
  for (const TraceSpan& span : take_trace()) events.push_back(event(span));
  return json{{"traceEvents", std::move(events)}, {"displayTimeUnit", "ms"}}.dump(
      1, ' ', false, json::error_handler_t::replace);
}

}  // namespace

TraceFile::TraceFile(const std::filesystem::path& path) {
  if (path.empty()) return;
  file_.reset(check_sys(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644),
                        "--trace: open " + path.string()));
  start_trace(max_spans);
}

TraceFile::~TraceFile() {
  if (!file_) return;
  warn_on_failure([&] { write_all(file_.get(), chrome_trace() + "\n"); });
}

std::shared_ptr<std::filesystem::path> add_trace_option(CLI::App& command) {
  auto path = std::make_shared<std::filesystem::path>();
  command.add_option("--trace", *path,
                     "file to write a timing trace to (Chrome's trace event format)");
  return path;
}

}  // namespace husk::cli
