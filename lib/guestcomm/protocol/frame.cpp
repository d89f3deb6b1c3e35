// SPDX-License-Identifier: Apache-2.0
#include "lib/guestcomm/protocol/frame.hpp"

#include "lib/base/error.hpp"

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

void write_frame(int fd, std::string_view payload, const Deadline& deadline) {
  send_before(fd, make_frame(payload), deadline);
}

std::optional<std::string> read_frame(int fd, const Deadline& deadline, std::size_t max_bytes) {
  const std::string header = receive_before(fd, header_bytes, deadline);
  if (header.empty()) return std::nullopt;
  const Error cut(Errc::peer_lost, "connection ended inside a message");
  if (header.size() < header_bytes) throw cut;
  const std::size_t length = decode_length(header, max_bytes);
  std::string payload = receive_before(fd, length, deadline);
  if (payload.size() < length) throw cut;
  return payload;
}

}  // namespace husk::guestcomm
