// SPDX-License-Identifier: Apache-2.0
#include "lib/guestcomm/frame.hpp"

#include <unistd.h>

#include "lib/base/error.hpp"
#include "lib/base/files.hpp"

namespace husk::guestcomm {
namespace {

constexpr std::size_t header_bytes = 4;

std::size_t decode_length(std::string_view header, std::size_t max_bytes) {
  std::size_t length = 0;
  for (std::size_t i = 0; i < header_bytes; ++i) {
    length = length << 8 | static_cast<unsigned char>(header[i]);
  }
  if (length > max_bytes) {
    throw Error(Errc::invalid_argument, "frame of " + std::to_string(length) +
                                            " bytes is over the limit of " +
                                            std::to_string(max_bytes));
  }
  return length;
}

/// Reads exactly `size` bytes, appended to `out`; false at end of file before the first of them.
bool read_exactly(int fd, std::size_t size, std::string& out) {
  const std::size_t target = out.size() + size;
  const std::size_t start = out.size();
  while (out.size() < target) {
    char chunk[4096];
    const ssize_t n = ::read(fd, chunk, std::min(sizeof chunk, target - out.size()));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EAGAIN) {  // SO_RCVTIMEO
      throw Error(Errc::timed_out, "no answer in time");
    }
    if (n < 0 && errno == ECONNRESET) throw Error(Errc::peer_lost, "connection reset");
    if (n < 0) throw_errno("read");
    if (n == 0) {
      if (out.size() == start) return false;
      throw Error(Errc::peer_lost, "connection ended inside a message");
    }
    out.append(chunk, static_cast<std::size_t>(n));
  }
  return true;
}

}  // namespace

std::string make_frame(std::string_view payload) {
  if (payload.size() > max_frame_bytes) {
    throw Error(Errc::invalid_argument, "message of " + std::to_string(payload.size()) +
                                            " bytes is over the limit of " +
                                            std::to_string(max_frame_bytes));
  }
  std::string frame;
  frame.reserve(header_bytes + payload.size());
  for (int shift = 24; shift >= 0; shift -= 8) {
    frame += static_cast<char>(payload.size() >> shift & 0xff);
  }
  frame += payload;
  return frame;
}

std::optional<std::string> FrameReader::next() {
  if (buffer_.size() < header_bytes) return std::nullopt;
  const std::size_t length = decode_length(buffer_, max_bytes_);
  if (buffer_.size() < header_bytes + length) return std::nullopt;
  std::string payload = buffer_.substr(header_bytes, length);
  buffer_.erase(0, header_bytes + length);
  return payload;
}

void write_frame(int fd, std::string_view payload) { write_all(fd, make_frame(payload)); }

std::optional<std::string> read_frame(int fd) {
  std::string header;
  if (!read_exactly(fd, header_bytes, header)) return std::nullopt;
  const std::size_t length = decode_length(header, max_frame_bytes);
  std::string payload;
  if (length > 0 && !read_exactly(fd, length, payload)) {
    throw Error(Errc::peer_lost, "connection ended inside a message");
  }
  return payload;
}

}  // namespace husk::guestcomm
