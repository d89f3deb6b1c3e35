// SPDX-License-Identifier: Apache-2.0
#include "lib/base/trace.hpp"

#include <exception>

namespace husk {
namespace {

struct Recorder {
  std::size_t max_spans = 0;
  TraceClock::time_point begin;
  std::deque<TraceSpan> spans;
};

Recorder& recorder() {
  static Recorder instance;
  return instance;
}

}  // namespace

void start_trace(std::size_t max_spans) {
  recorder() = {.max_spans = max_spans, .begin = TraceClock::now(), .spans = {}};
}

bool is_tracing() noexcept { return recorder().max_spans > 0; }
TraceClock::time_point trace_begin() noexcept { return recorder().begin; }
std::deque<TraceSpan> take_trace() noexcept { return std::exchange(recorder().spans, {}); }

void add_to_trace(TraceSpan span) {
  Recorder& to = recorder();
  if (to.max_spans == 0) return;
  if (to.spans.size() == to.max_spans) to.spans.pop_front();
  to.spans.push_back(std::move(span));
}

void record_span(std::string_view name, TraceClock::time_point begin) noexcept {
  if (!is_tracing()) return;
  try {
    add_to_trace({.name = std::string(name), .begin = begin, .end = TraceClock::now()});
  } catch (const std::exception&) {
    // Without the memory for it: the picture lacks a span.
  }
}

}  // namespace husk
