// SPDX-License-Identifier: Apache-2.0
#include "lib/base/trace.hpp"

#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <exception>

#include "lib/base/error.hpp"

namespace husk {
namespace {

/// Spans in memory that a process shares with its children.
struct ChildSpan {
  std::array<char, max_child_name> name;  ///< filled up with zeros
  TraceClock::time_point begin, end;
};
struct ChildSpans {
  std::atomic<std::size_t> taken;  ///< places given out; after the last place comes the first
  std::array<ChildSpan, max_child_spans> spans;
};
static_assert(std::atomic<std::size_t>::is_always_lock_free);

struct Recorder {
  std::size_t max_spans = 0;
  TraceClock::time_point begin;
  std::deque<TraceSpan> spans;
  ChildSpans* of_children = nullptr;
  bool is_child = false;
};

Recorder& recorder() {
  static Recorder instance;
  return instance;
}

void record_for_parent(std::string_view name, TraceClock::time_point begin) noexcept {
  ChildSpans& to = *recorder().of_children;
  ChildSpan& span = to.spans.at(to.taken.fetch_add(1) % to.spans.size());
  span.name.fill('\0');
  name.substr(0, span.name.size()).copy(span.name.data(), span.name.size());
  span.begin = begin;
  span.end = TraceClock::now();
}

void take_from_children(ChildSpans& from) {
  const std::size_t taken = from.taken.load(), count = std::min(taken, from.spans.size());
  for (std::size_t i = taken - count; i < taken; ++i) {
    const ChildSpan& span = from.spans.at(i % from.spans.size());
    const auto end = std::find(span.name.begin(), span.name.end(), '\0');
    add_to_trace({.name = {span.name.begin(), end}, .begin = span.begin, .end = span.end});
  }
  from.spans = {};
  from.taken = 0;
}

}  // namespace

void start_trace(std::size_t max_spans) {
  Recorder& to = recorder();
  to.max_spans = max_spans;
  to.begin = TraceClock::now();
  to.spans.clear();
}

void share_trace_with_children() {
  void* const memory = ::mmap(nullptr, sizeof(ChildSpans), PROT_READ | PROT_WRITE,
                              MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) throw_errno("memory for spans of children");
  recorder().of_children = new (memory) ChildSpans{};
}

void trace_as_child() noexcept { recorder().is_child = recorder().of_children != nullptr; }

bool is_tracing() noexcept { return recorder().max_spans > 0; }
TraceClock::time_point trace_begin() noexcept { return recorder().begin; }

std::deque<TraceSpan> take_trace() noexcept {
  try {
    if (recorder().of_children != nullptr) take_from_children(*recorder().of_children);
  } catch (const std::exception&) {
    // The same order as in record_span().
  }
  return std::exchange(recorder().spans, {});
}

void add_to_trace(TraceSpan span) {
  Recorder& to = recorder();
  if (to.max_spans == 0) return;
  if (to.spans.size() == to.max_spans) to.spans.pop_front();
  to.spans.push_back(std::move(span));
}

void record_span(std::string_view name, TraceClock::time_point begin) noexcept {
  if (!is_tracing()) return;
  if (recorder().is_child) return record_for_parent(name, begin);
  try {
    add_to_trace({.name = std::string(name), .begin = begin, .end = TraceClock::now()});
  } catch (const std::exception&) {
    // No memory: the trace lacks a span.
  }
}

}  // namespace husk
