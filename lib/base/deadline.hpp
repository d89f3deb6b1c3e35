// SPDX-License-Identifier: Apache-2.0
// Waiting for descriptors until a moment that does not move, and lines of bounded length.
#pragma once

#include <chrono>
#include <cstddef>
#include <string>
#include <string_view>

namespace husk {

class Deadline {
 public:
  explicit Deadline(std::chrono::milliseconds patience)
      : end_(std::chrono::steady_clock::now() + patience) {}
  /// Practically no limit, for waits that cannot harm.
  static Deadline none() { return Deadline(std::chrono::hours{24}); }
  /// The time left for poll(2): rounded up, 0 once the deadline has passed.
  int poll_timeout() const;
  bool passed() const { return std::chrono::steady_clock::now() >= end_; }

 private:
  std::chrono::steady_clock::time_point end_;
};

enum class Readiness { ready, gone, timed_out };

/// Waits until `fd` has one of `events` (or an error or hang-up, which the next call on it shows);
/// throws when cancelled; gone as soon as `gone_fd` (a pidfd, -1 for none) is readable.
Readiness await(int fd, short events, int gone_fd, const Deadline& deadline);

/// Reads one line byte by byte, so that nothing behind it is taken, and returns it without its end.
/// The socket must be non-blocking. Throws peer_lost at end of file or when `gone_fd` becomes
/// readable, timed_out, invalid_argument for a line of over `max_bytes`; all name `peer`.
std::string read_line(int fd, std::size_t max_bytes, int gone_fd, const Deadline& deadline,
                      const std::string& peer);

/// Sends all of `data`, which a peer that takes a byte now and then cannot stretch beyond the
/// deadline. Throws timed_out, peer_lost. For sockets, blocking or not.
void send_before(int socket, std::string_view data, const Deadline& deadline);

/// Receives exactly `size` bytes, and less only at end of file. Throws as send_before.
std::string receive_before(int socket, std::size_t size, const Deadline& deadline);

}  // namespace husk
