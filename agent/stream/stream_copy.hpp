// SPDX-License-Identifier: Apache-2.0
// Carries bytes from one descriptor to another without ever blocking.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "agent/loop/event_loop.hpp"
#include "lib/base/unique_fd.hpp"

namespace husk::agent {

/// Copies until end of file or until either side breaks; then closes both. Reads only what it can
/// write: a slow reader slows the writer.
class StreamCopy {
 public:
  /// Makes both descriptors non-blocking. `on_done` is called once, from the loop.
  StreamCopy(EventLoop& loop, UniqueFd from, UniqueFd to, std::function<void()> on_done);
  StreamCopy(const StreamCopy&) = delete;
  StreamCopy& operator=(const StreamCopy&) = delete;

  /// Says that nobody writes to `from` any more, even if some descriptor keeps it open: ends once it is
  /// empty.
  void finish_when_empty();
  /// Closes both sides now; what was not sent is dropped. `on_done` is not called.
  void stop() noexcept;
  bool done() const noexcept { return !from_ && !to_; }

 private:
  void pump();
  bool fill();   ///< false: nothing to send now
  bool drain();  ///< false: the receiver takes no more now
  void wait_readable();
  void wait_writable();
  void finish();

  EventLoop& loop_;
  UniqueFd from_, to_;
  EventLoop::Watch from_watch_, to_watch_;
  std::function<void()> on_done_;
  std::string pending_;  ///< read and not yet written
  std::size_t sent_ = 0;
  bool finish_when_empty_ = false;
};

}  // namespace husk::agent
