// SPDX-License-Identifier: Apache-2.0
// SIGINT, SIGTERM and SIGHUP as an error of whatever waits: what was made is undone on the way out.
#pragma once

#include <optional>

namespace husk {

/// While one exists, the waits of husk end with an error when such a signal comes: each
/// polls cancellation_fd() with its own descriptors, and then calls throw_if_cancelled(). Once
/// thrown, or while another exception is on its way, nothing is cancelled: undoing is not. One inside
/// of another is without effect.
class Cancellation {
 public:
  /// Blocks them, for the rest of the process; those that the caller ignores (nohup) stay ignored.
  Cancellation();
  Cancellation(const Cancellation&) = delete;
  Cancellation& operator=(const Cancellation&) = delete;
  ~Cancellation();

 private:
  bool outermost_;
};

/// While one exists nothing is cancelled: for undoing in a handler, where the exception is caught and
/// no longer on its way.
class Undoing {
 public:
  Undoing() noexcept;
  Undoing(const Undoing&) = delete;
  Undoing& operator=(const Undoing&) = delete;
  ~Undoing();
};

/// Readable when a signal is there; -1, which poll(2) passes over, while nothing can be cancelled.
int cancellation_fd() noexcept;

/// Throws system with ECANCELED, "interrupted by signal N".
void throw_if_cancelled();

/// In a child that goes on as a process of its own, before it closes what it inherited: nothing is cancelled any
/// more. Otherwise cancellation_fd() would be the number of whatever is opened next.
void forget_cancellation() noexcept;

/// The signal that was thrown for.
std::optional<int> cancelled_by() noexcept;

}  // namespace husk
