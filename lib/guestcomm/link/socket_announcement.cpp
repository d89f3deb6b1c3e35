// SPDX-License-Identifier: Apache-2.0
#include "lib/guestcomm/link/socket_announcement.hpp"

#include <poll.h>

#include <charconv>
#include <string>
#include <string_view>

#include "lib/base/deadline.hpp"
#include "lib/base/error.hpp"
#include "lib/base/text.hpp"

namespace husk::guestcomm {
namespace {

constexpr std::string_view greeting = "HUSK-AGENT ";
constexpr std::size_t max_announcement = 32;

int parse_announcement(const std::string& line) {
  int protocol = 0;
  const char* const end = line.data() + line.size();
  const bool greeted = std::string_view(line).starts_with(greeting);
  const auto parsed = greeted ? std::from_chars(line.data() + greeting.size(), end, protocol)
                              : std::from_chars_result{line.data(), std::errc::invalid_argument};
  if (parsed.ec != std::errc{} || parsed.ptr != end || protocol <= 0)
    throw Error(Errc::invalid_argument, "the guest announced itself with " + quote(line));
  return protocol;
}

bool is_readable(int fd) {
  pollfd polled{fd, POLLIN, 0};
  return ::poll(&polled, 1, 0) > 0;
}

[[noreturn]] void throw_gone() {
  throw Error(Errc::peer_lost, "the virtual machine ended before its agent answered");
}

}  // namespace

int SocketAnnouncement::wait(const GuestAddress& address, int vm_gone_fd,
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
