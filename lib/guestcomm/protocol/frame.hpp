// SPDX-License-Identifier: Apache-2.0
// The control channel's framing: a 4-byte big-endian length, then that many bytes of JSON-RPC 2.0.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "lib/base/deadline.hpp"

namespace husk::guestcomm {

inline constexpr std::size_t max_frame_bytes = 16u << 20;  ///< both sides refuse more
inline constexpr std::size_t max_guest_bytes = 64u << 10;  ///< of what the host takes from a guest
inline constexpr std::size_t max_hello_bytes = 4u << 10;   ///< before it is known who speaks

/// Takes bytes as they come and gives out whole frames. Memory grows only with bytes received.
class FrameReader {
 public:
  explicit FrameReader(std::size_t max_bytes = max_frame_bytes) : max_bytes_(max_bytes) {}
  void set_limit(std::size_t max_bytes) noexcept { max_bytes_ = max_bytes; }
  void append(std::string_view bytes) { buffer_.append(bytes); }
  /// The next whole frame, or empty. Throws invalid_argument when a length is over the limit:
  /// the connection cannot be used any further.
  std::optional<std::string> next();

 private:
  std::size_t max_bytes_;
  std::string buffer_;
};

/// Length and payload in one string. Throws invalid_argument over the limit.
std::string make_frame(std::string_view payload);

/// For sockets; throw timed_out and peer_lost. read_frame: empty at end of file between frames,
/// throws peer_lost inside one, and invalid_argument for one of over `max_bytes`.
void write_frame(int fd, std::string_view payload, const Deadline& deadline = Deadline::none());
std::optional<std::string> read_frame(int fd, const Deadline& deadline = Deadline::none(),
                                      std::size_t max_bytes = max_frame_bytes);

}  // namespace husk::guestcomm
