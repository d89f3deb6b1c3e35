// SPDX-License-Identifier: Apache-2.0
#include "agent/network/netlink.hpp"

#include <sys/socket.h>

#include <algorithm>

#include "lib/base/error.hpp"

namespace husk::agent {
namespace {

constexpr std::size_t max_attribute = 32u << 10;  ///< a route can have many hops
constexpr std::size_t max_datagram = 64u << 10;   ///< the kernel's are half of it at most
constexpr int tries = 10;

/// The messages of one datagram.
struct Part {
  bool is_last = false, is_torn = false;
};

void check_size(std::size_t attribute) {
  if (attribute > max_attribute)
    throw Error(Errc::invalid_argument, "attribute too large for a netlink message");
}

void read_error(const nlmsghdr& message) {
  const auto* error = reinterpret_cast<const nlmsgerr*>(&message + 1);
  if (error->error != 0) throw Error(Errc::system, errno_text(-error->error), -error->error);
}

Part read_part(const std::vector<char>& bytes, std::size_t size,
               std::vector<NetlinkReply>& replies) {
  Part part;
  for (std::size_t at = 0; at + sizeof(nlmsghdr) <= size;) {
    const auto& message = *reinterpret_cast<const nlmsghdr*>(bytes.data() + at);
    if (message.nlmsg_len < sizeof(nlmsghdr) || message.nlmsg_len > size - at) break;
    if ((message.nlmsg_flags & NLM_F_DUMP_INTR) != 0) part.is_torn = true;
    if (message.nlmsg_type == NLMSG_ERROR) read_error(message);
    if (message.nlmsg_type == NLMSG_ERROR || message.nlmsg_type == NLMSG_DONE) {
      part.is_last = true;
    } else {
      replies.emplace_back(message);
    }
    at += aligned(message.nlmsg_len);
  }
  return part;
}

}  // namespace

NetlinkMessage::NetlinkMessage(int type, int flags) {
  nlmsghdr header{};
  header.nlmsg_type = static_cast<std::uint16_t>(type);
  header.nlmsg_flags = static_cast<std::uint16_t>(flags);
  append(&header, sizeof header);
}

std::size_t NetlinkMessage::append(const void* data, std::size_t size) {
  const std::size_t place = bytes_.size();
  const auto* begin = static_cast<const char*>(data);
  bytes_.insert(bytes_.end(), begin, begin + size);
  bytes_.resize(aligned(bytes_.size()));
  return place;
}

void NetlinkMessage::overwrite(std::size_t place, const void* data, std::size_t size) {
  std::copy_n(static_cast<const char*>(data), size,
              bytes_.begin() + static_cast<std::ptrdiff_t>(place));
}

void NetlinkMessage::put(int attribute, const void* data, std::size_t size) {
  check_size(sizeof(nlattr) + size);
  const std::size_t start = begin_nested(attribute);
  append(data, size);
  nlattr header{static_cast<std::uint16_t>(sizeof(nlattr) + size),
                static_cast<std::uint16_t>(attribute)};
  overwrite(start, &header, sizeof header);
}

void NetlinkMessage::put_text(int attribute, const std::string& text) {
  put(attribute, text.c_str(), text.size() + 1);
}

std::size_t NetlinkMessage::begin_nested(int attribute) {
  const nlattr header{0, static_cast<std::uint16_t>(attribute)};
  return append(&header, sizeof header);
}

void NetlinkMessage::end_nested(std::size_t start) {
  const std::size_t length = bytes_.size() - start;
  check_size(length);
  nlattr header{};
  std::memcpy(&header, bytes_.data() + start, sizeof header);
  header.nla_len = static_cast<std::uint16_t>(length);
  overwrite(start, &header, sizeof header);
}

const std::vector<char>& NetlinkMessage::finish(std::uint16_t flags) {
  nlmsghdr header{};
  std::memcpy(&header, bytes_.data(), sizeof header);
  header.nlmsg_len = static_cast<std::uint32_t>(bytes_.size());
  header.nlmsg_flags |= flags;
  overwrite(0, &header, sizeof header);
  return bytes_;
}

Attributes::Attributes(const nlmsghdr& message, std::size_t header)
    : Attributes(reinterpret_cast<const char*>(&message) + message_header + aligned(header),
                 static_cast<int>(message.nlmsg_len - message_header - aligned(header))) {}

Attributes::Attributes(const nlattr& nested) : Attributes(nla_data(&nested), nla_len(&nested)) {}

const nlattr* Attributes::operator[](int attribute) const {
  const auto* at = reinterpret_cast<const char*>(begin_);
  for (int left = size_; left >= attribute_header;) {
    const auto* found = reinterpret_cast<const nlattr*>(at);
    if (found->nla_len < attribute_header || found->nla_len > left) break;
    if ((found->nla_type & NLA_TYPE_MASK) == attribute) return found;
    left -= static_cast<int>(aligned(found->nla_len));
    at += aligned(found->nla_len);
  }
  return nullptr;
}

std::string Attributes::text(int attribute) const {
  const nlattr* const found = (*this)[attribute];
  if (found == nullptr) return {};
  const auto* begin = static_cast<const char*>(nla_data(found));
  return {begin, ::strnlen(begin, static_cast<std::size_t>(nla_len(found)))};
}

NetlinkReply::NetlinkReply(const nlmsghdr& message)
    : bytes_(reinterpret_cast<const char*>(&message),
             reinterpret_cast<const char*>(&message) + message.nlmsg_len) {}

NetlinkSocket::NetlinkSocket()
    : socket_(check_sys(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE),
                        "netlink socket")) {}

void NetlinkSocket::send(const std::vector<char>& message) const {
  sockaddr_nl kernel{};
  kernel.nl_family = AF_NETLINK;
  check_sys(::sendto(socket_.get(), message.data(), message.size(), 0,
                     reinterpret_cast<const sockaddr*>(&kernel), sizeof kernel),
            "netlink");
}

/// Reads to the end of an answer; false: the table changed while it was dumped.
bool NetlinkSocket::receive(std::vector<NetlinkReply>& replies) const {
  std::vector<char> bytes(max_datagram);
  bool is_whole = true;
  for (bool is_last = false; !is_last;) {
    const ssize_t size = ::recv(socket_.get(), bytes.data(), bytes.size(), 0);
    if (size < 0 && errno == EINTR) continue;
    check_sys(size, "netlink");
    const Part part = read_part(bytes, static_cast<std::size_t>(size), replies);
    is_last = part.is_last;
    is_whole = is_whole && !part.is_torn;
  }
  return is_whole;
}

void NetlinkSocket::change(NetlinkMessage message) const {
  send(message.finish(NLM_F_REQUEST | NLM_F_ACK));
  std::vector<NetlinkReply> none;
  receive(none);
}

std::vector<NetlinkReply> NetlinkSocket::dump(NetlinkMessage message) const {
  for (int i = 0; i < tries; ++i) {
    std::vector<NetlinkReply> replies;
    send(message.finish(NLM_F_REQUEST));
    if (receive(replies)) return replies;
  }
  throw Error(Errc::timed_out, "netlink: dump interrupted by changes too often");
}

}  // namespace husk::agent
