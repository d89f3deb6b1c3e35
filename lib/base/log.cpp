// SPDX-License-Identifier: Apache-2.0
#include "lib/base/log.hpp"

#include <exception>
#include <utility>

namespace husk {
namespace {
LogSink& sink() {
  static LogSink instance;
  return instance;
}
}  // namespace

void set_log_sink(LogSink new_sink) { sink() = std::move(new_sink); }

void log(LogLevel level, std::string_view message) noexcept {
  try {
    if (sink()) sink()(level, message);
  } catch (const std::exception&) {
    // A disk that is full is no reason to undo a container.
  }
}

}  // namespace husk
