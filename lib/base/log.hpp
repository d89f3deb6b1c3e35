// SPDX-License-Identifier: Apache-2.0
// Log calls. Where the lines go is decided once, in main(), by set_log_sink(); without a sink they
// go nowhere. Never log environments, whole specs or secrets.
#pragma once

#include <exception>
#include <functional>
#include <string_view>
#include <utility>

namespace husk {

/// error = a request failed (said once, by whoever catches), warning = odd but going on,
/// info = a state changed, debug = one step of many.
enum class LogLevel { debug, info, warning, error };

using LogSink = std::function<void(LogLevel, std::string_view message)>;

/// The only global state of husk. Call from main() before anything logs.
void set_log_sink(LogSink sink);
/// A log that cannot be written never changes what a command does: what the sink throws is
/// swallowed.
void log(LogLevel level, std::string_view message) noexcept;

/// Does `action`, and logs a failure as a warning: where an error is on its way already, or nobody takes
/// one.
template <typename F>
void warn_on_failure(F&& action) noexcept {
  try {
    std::forward<F>(action)();
  } catch (const std::exception& e) {
    log(LogLevel::warning, e.what());
  }
}

}  // namespace husk
