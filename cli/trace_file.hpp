// SPDX-License-Identifier: Apache-2.0
// --trace FILE: where the time of a command goes, to be looked at in a browser.
#pragma once

#include <filesystem>
#include <memory>

#include "lib/base/unique_fd.hpp"

namespace CLI {
class App;
}

namespace husk::cli {

/// Records from its making on, and writes at its end, in the Trace Event Format of Chrome's tracing and Perfetto
/// ("complete" events, microseconds of CLOCK_MONOTONIC): also what a failing command did.
class TraceFile {
 public:
  /// path: empty for no trace. Throws system "--trace: open <path>".
  explicit TraceFile(const std::filesystem::path& path);
  TraceFile(const TraceFile&) = delete;
  TraceFile& operator=(const TraceFile&) = delete;
  ~TraceFile();

 private:
  UniqueFd file_;
};

/// Adds the option; empty until it was given.
std::shared_ptr<std::filesystem::path> add_trace_option(CLI::App& command);

}  // namespace husk::cli
