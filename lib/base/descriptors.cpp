// SPDX-License-Identifier: Apache-2.0
#include "lib/base/descriptors.hpp"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "lib/base/error.hpp"

namespace husk {
namespace {

using ControlBuffer = std::array<char, CMSG_SPACE(sizeof(int) * max_passed_descriptors)>;

void take_descriptors(msghdr& message, std::vector<UniqueFd>& descriptors) {
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
}

}  // namespace

Pipe make_pipe() {
  std::array<int, 2> ends{};
  check_sys(::pipe2(ends.data(), O_CLOEXEC), "make a pipe");
  return {UniqueFd{ends[0]}, UniqueFd{ends[1]}};
}

SocketPair make_socket_pair() {
  std::array<int, 2> ends{};
  check_sys(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()),
            "make a socket pair");
  return {UniqueFd{ends[0]}, UniqueFd{ends[1]}};
}

void close_other_descriptors(std::vector<int> keep) {
  keep.insert(keep.end(), {0, 1, 2});
  std::sort(keep.begin(), keep.end());
  unsigned next = 0;
  for (const int fd : keep) {
    const auto kept = static_cast<unsigned>(fd);
    if (kept > next) check_sys(::syscall(SYS_close_range, next, kept - 1, 0U), "close_range");
    next = kept + 1;
  }
  check_sys(::syscall(SYS_close_range, next, ~0U, 0U), "close_range");
}

void send_with_descriptors(int socket, std::string_view bytes,
                           const std::vector<int>& descriptors) {
  if (descriptors.size() > max_passed_descriptors)
    throw Error(Errc::internal, "too many descriptors in one message");
  iovec data{.iov_base = const_cast<char*>(bytes.data()), .iov_len = bytes.size()};
  alignas(cmsghdr) ControlBuffer control{};
  msghdr message{};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  if (!descriptors.empty()) {
    const std::size_t length = sizeof(int) * descriptors.size();
    message.msg_control = control.data();
    message.msg_controllen = CMSG_SPACE(length);
    cmsghdr* const header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(length);
    std::memcpy(CMSG_DATA(header), descriptors.data(), length);
  }
  check_sys(::sendmsg(socket, &message, MSG_NOSIGNAL), "send descriptors");
}

std::size_t receive_with_descriptors(int socket, std::span<char> buffer,
                                     std::vector<UniqueFd>& descriptors) {
  iovec data{.iov_base = buffer.data(), .iov_len = buffer.size()};
  alignas(cmsghdr) ControlBuffer control{};
  msghdr message{};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  ssize_t received = 0;
  do {
    received = ::recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
  } while (received < 0 && errno == EINTR);
  check_sys(received, "receive descriptors");
  take_descriptors(message, descriptors);
  return static_cast<std::size_t>(received);
}

}  // namespace husk
