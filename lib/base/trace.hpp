// SPDX-License-Identifier: Apache-2.0
// Where the time of a command goes, for `--trace` and for the agent. Recorded from start_trace() on, by one thread;
// without it a Span costs the look at a flag.
#pragma once

#include <chrono>
#include <cstddef>
#include <deque>
#include <string>
#include <string_view>
#include <utility>

namespace husk {

/// CLOCK_MONOTONIC: of the host, or of the guest, where it begins with the kernel.
using TraceClock = std::chrono::steady_clock;

struct TraceSpan {
  std::string name;
  TraceClock::time_point begin, end;
  bool in_guest = false;  ///< happened there; the times are the host's all the same
};

/// Keeps the newest `max_spans`. Drops what was recorded before.
void start_trace(std::size_t max_spans);
bool is_tracing() noexcept;
/// When start_trace() was called.
TraceClock::time_point trace_begin() noexcept;
void add_to_trace(TraceSpan span);
/// What was recorded and not taken yet, in the order in which it ended; that of children last.
std::deque<TraceSpan> take_trace() noexcept;

/// From now on a child of fork can record for this process, in memory that both keep to their ends. Once; throws
/// system.
void share_trace_with_children();
/// In such a child: what is recorded goes to its parent, whose take_trace() gives it: the newest max_child_spans since
/// the call before, names cut after max_child_name bytes.
void trace_as_child() noexcept;
inline constexpr std::size_t max_child_spans = 64, max_child_name = 40;

/// Records a span from `begin` until now.
void record_span(std::string_view name, TraceClock::time_point begin) noexcept;

/// Records the lifetime of the object as a span.
class Span {
 public:
  explicit Span(std::string_view name) noexcept : name_(name), begin_(now()) {}
  Span(const Span&) = delete;
  Span& operator=(const Span&) = delete;
  ~Span() { record_span(name_, begin_); }

 private:
  static TraceClock::time_point now() noexcept {
    return is_tracing() ? TraceClock::now() : TraceClock::time_point{};
  }
  std::string_view name_;
  TraceClock::time_point begin_;
};

template <typename F>
decltype(auto) traced(std::string_view name, F&& action) {
  const Span span(name);
  return std::forward<F>(action)();
}

/// Records steps without gaps: each lap begins where the one before ended.
class Laps {
 public:
  void end(std::string_view name) noexcept {
    record_span(name, begin_);
    begin_ = TraceClock::now();
  }

 private:
  TraceClock::time_point begin_ = TraceClock::now();
};

}  // namespace husk
