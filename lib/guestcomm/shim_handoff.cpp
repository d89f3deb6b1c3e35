// SPDX-License-Identifier: Apache-2.0
#include "lib/guestcomm/shim_handoff.hpp"

#include <sys/socket.h>

#include <array>
#include <cstdint>
#include <cstring>
#include <nlohmann/json.hpp>

#include "lib/base/error.hpp"

namespace husk::guestcomm {
namespace {
constexpr std::size_t max_descriptors = 4;
constexpr std::size_t max_packet_bytes = 4096;
using ControlBuffer = std::array<char, CMSG_SPACE(sizeof(int) * max_descriptors)>;
}  // namespace

void send_handoff(int socket, const ShimHandoff& handoff, const std::vector<int>& descriptors) {
  std::string text = nlohmann::json{{"id", handoff.container_id},
                                    {"stdin", handoff.has_stdin},
                                    {"stdout", handoff.has_stdout},
                                    {"stderr", handoff.has_stderr},
                                    {"message_patience_ms", handoff.message_patience.count()}}
                         .dump();
  if (descriptors.size() > max_descriptors || text.size() > max_packet_bytes) {
    throw Error(Errc::internal, "hand-over to the shim is too large");
  }
  iovec data{.iov_base = text.data(), .iov_len = text.size()};
  alignas(cmsghdr) ControlBuffer control{};
  msghdr message{};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = CMSG_SPACE(sizeof(int) * descriptors.size());
  cmsghdr* header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof(int) * descriptors.size());
  std::memcpy(CMSG_DATA(header), descriptors.data(), sizeof(int) * descriptors.size());
  check_sys(::sendmsg(socket, &message, MSG_NOSIGNAL), "hand over to the shim");
}

ShimHandoff receive_handoff(int socket, std::vector<UniqueFd>& descriptors) {
  std::array<char, max_packet_bytes> text{};
  iovec data{.iov_base = text.data(), .iov_len = text.size()};
  alignas(cmsghdr) ControlBuffer control{};
  msghdr message{};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  ssize_t n = 0;
  do {
    n = ::recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
  } while (n < 0 && errno == EINTR);
  check_sys(n, "receive the hand-over");
  if (n == 0) throw Error(Errc::peer_lost, "husk went away before the hand-over");
  for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr;
       header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
    const std::size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t i = 0; i < count; ++i) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(header) + i * sizeof(int), sizeof fd);
      descriptors.emplace_back(fd);
    }
  }
  const auto json = nlohmann::json::parse(text.data(), text.data() + n);
  ShimHandoff handoff{.container_id = json.at("id").get<std::string>(),
                      .has_stdin = json.at("stdin").get<bool>(),
                      .has_stdout = json.at("stdout").get<bool>(),
                      .has_stderr = json.at("stderr").get<bool>(),
                      .message_patience = std::chrono::milliseconds{
                          json.at("message_patience_ms").get<std::int64_t>()}};
  const std::size_t expected = 1U + (handoff.has_stdin ? 1U : 0U) + (handoff.has_stdout ? 1U : 0U) +
                               (handoff.has_stderr ? 1U : 0U);
  if (descriptors.size() != expected)
    throw Error(Errc::invalid_argument, "wrong number of descriptors");
  return handoff;
}

}  // namespace husk::guestcomm
