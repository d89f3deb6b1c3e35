// SPDX-License-Identifier: Apache-2.0
#include "lib/guestcomm/link/socket_announcement.hpp"

#include <poll.h>

#include <charconv>
#include <string>
#include <string_view>

#include "lib/base/deadline.hpp"
#include "lib/base/error.hpp"
#include "lib/base/text.hpp"
#include "lib/guestcomm/protocol/connections.hpp"

namespace husk::guestcomm {
namespace {

constexpr std::size_t max_announcement = 40;

/// Takes the number off the front of `text`; 0: there is none.
int take_number(std::string_view& text) {
  int number = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), number);
  if (parsed.ec != std::errc{}) return 0;
  text.remove_prefix(static_cast<std::size_t>(parsed.ptr - text.data()));
  return number;
}

ProtocolRange parse_announcement(const std::string& line) {
  std::string_view rest = line;
  ProtocolRange protocols;
  if (rest.starts_with(announcement_start)) {
    rest.remove_prefix(announcement_start.size());
    protocols.oldest = take_number(rest);
    if (rest.starts_with(' ')) {
      rest.remove_prefix(1);
      protocols.newest = take_number(rest);
    }
  }
  if (!rest.empty() || protocols.oldest <= 0 || protocols.newest < protocols.oldest)
    throw Error(Errc::invalid_argument, "the guest announced itself with " + quote(line));
  return protocols;
}

bool is_readable(int fd) {
  pollfd polled{fd, POLLIN, 0};
  return ::poll(&polled, 1, 0) > 0;
}

[[noreturn]] void throw_gone() {
  throw Error(Errc::peer_lost, "the virtual machine ended before its agent answered");
}

}  // namespace

ProtocolRange SocketAnnouncement::wait(const GuestAddress& address, int vm_gone_fd,
                                       std::chrono::milliseconds patience) {
  const Deadline deadline(patience);
  for (;;) {
    const Readiness readiness = await(listener_.get(), POLLIN, vm_gone_fd, deadline);
    if (readiness == Readiness::gone) throw_gone();
    const UniqueFd connection = readiness == Readiness::ready ? accept_from(address) : UniqueFd();
    if (connection) {
      return parse_announcement(read_line(connection.get(), max_announcement, vm_gone_fd, deadline,
                                          "the guest's announcement"));
    }
    // Other guests' connections may keep the listener ready: await() says neither of these then.
    if (is_readable(vm_gone_fd)) throw_gone();
    if (readiness == Readiness::timed_out || deadline.passed())
      throw Error(Errc::timed_out, "the guest's agent did not answer within " +
                                       std::to_string(patience.count()) + " ms");
  }
}

}  // namespace husk::guestcomm
