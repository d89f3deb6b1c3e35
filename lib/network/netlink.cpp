// SPDX-License-Identifier: Apache-2.0
#include "lib/network/netlink.hpp"

#include <sys/socket.h>

#include <cstring>
#include <optional>

#include "lib/base/error.hpp"

namespace husk::network {
namespace {

constexpr int tries = 10;  ///< of a dump that something changes under our feet

/// The kernel's error: libnl's own error numbers say less.
struct Answer {
  std::vector<NetlinkReply> replies;
  int error = 0;     ///< errno
  std::string text;  ///< the kernel's words beyond errno, if any
};

int keep_reply(nl_msg* message, void* answer) {
  static_cast<Answer*>(answer)->replies.emplace_back(*nlmsg_hdr(message));
  return NL_OK;
}

/// NLMSGERR_ATTR_MSG stands after the header of the request, whose content is left out
/// (NETLINK_CAP_ACK).
std::string extended_text(nlmsgerr& error) {
  const auto* header = reinterpret_cast<nlmsghdr*>(reinterpret_cast<char*>(&error) - NLMSG_HDRLEN);
  constexpr int skipped = NLMSG_ALIGN(sizeof(nlmsgerr));
  const int rest = static_cast<int>(header->nlmsg_len) - NLMSG_HDRLEN - skipped;
  if ((header->nlmsg_flags & NLM_F_ACK_TLVS) == 0 || rest <= 0) return {};
  auto* attributes = reinterpret_cast<nlattr*>(reinterpret_cast<char*>(&error) + skipped);
  const nlattr* text = nla_find(attributes, rest, NLMSGERR_ATTR_MSG);
  if (text == nullptr) return {};
  const auto* begin = static_cast<const char*>(nla_data(text));
  return {begin, ::strnlen(begin, static_cast<std::size_t>(nla_len(text)))};
}

int keep_error(sockaddr_nl*, nlmsgerr* error, void* answer) {
  auto& a = *static_cast<Answer*>(answer);
  a.error = -error->error;
  a.text = extended_text(*error);
  return NL_STOP;
}

[[noreturn]] void fail(const std::string& doing, const Answer& answer) {
  const std::string more = answer.text.empty() ? "" : " (" + answer.text + ")";
  throw Error(Errc::system, doing + ": " + errno_text(answer.error) + more, answer.error);
}

/// Returns nothing if the table changed while it was dumped.
std::optional<Answer> ask(nl_sock* socket, nl_msg& request, const std::string& doing) {
  Answer answer;
  const std::unique_ptr<nl_cb, decltype(&nl_cb_put)> callbacks{nl_cb_alloc(NL_CB_DEFAULT),
                                                               &nl_cb_put};
  nl_cb_set(callbacks.get(), NL_CB_VALID, NL_CB_CUSTOM, keep_reply, &answer);
  nl_cb_err(callbacks.get(), NL_CB_CUSTOM, keep_error, &answer);
  nlmsg_hdr(&request)->nlmsg_seq = NL_AUTO_SEQ;  // anew for each try
  check_nl(nl_send_auto(socket, &request), doing);
  const int result = nl_recvmsgs(socket, callbacks.get());
  if (answer.error != 0) fail(doing, answer);
  if (result == -NLE_DUMP_INTR) return {};
  check_nl(result, doing);
  return answer;
}

}  // namespace

int check_nl(int result, const std::string& doing) {
  if (result < 0) throw Error(Errc::system, doing + ": " + nl_geterror(result));
  return result;
}

NetlinkMessage make_message(int type, int flags) {
  NetlinkMessage message{nlmsg_alloc_simple(type, flags), &nlmsg_free};
  if (!message) throw_errno("netlink message", ENOMEM);
  return message;
}

void put_bytes(nl_msg& message, int attribute, const void* data, std::size_t size) {
  if (nla_put(&message, attribute, static_cast<int>(size), data) < 0)
    throw Error(Errc::internal, "a netlink message is too small");
}

void put_text(nl_msg& message, int attribute, const std::string& text) {
  put_bytes(message, attribute, text.c_str(), text.size() + 1);
}

void put_number(nl_msg& message, int attribute, std::uint32_t number) {
  put_bytes(message, attribute, &number, sizeof number);
}

NestedAttribute::NestedAttribute(nl_msg& message, int attribute)
    : message_(message), start_(nla_nest_start(&message, attribute)) {
  if (start_ == nullptr) throw Error(Errc::internal, "a netlink message is too small");
}

NetlinkReply::NetlinkReply(const nlmsghdr& header) : bytes_(new char[header.nlmsg_len]) {
  std::memcpy(bytes_.get(), &header, header.nlmsg_len);
}

RouteSocket::RouteSocket() : socket_(nl_socket_alloc(), &nl_socket_free) {
  if (!socket_) throw_errno("netlink socket", ENOMEM);
  check_nl(nl_connect(socket_.get(), NETLINK_ROUTE), "netlink socket");
  nl_socket_set_msg_buf_size(socket_.get(), 1 << 16);
  // Keeps answers to wrong requests short, and has them say why. Older kernels know neither.
  for (const int option : {NETLINK_EXT_ACK, NETLINK_CAP_ACK}) {
    const int on = 1;
    ::setsockopt(nl_socket_get_fd(socket_.get()), SOL_NETLINK, option, &on, sizeof on);
  }
}

std::vector<NetlinkReply> RouteSocket::dump(nl_msg& request, const std::string& doing) const {
  for (int i = 0; i < tries; ++i)
    if (std::optional<Answer> answer = ask(socket_.get(), request, doing))
      return std::move(answer->replies);
  throw Error(Errc::timed_out, doing + ": interrupted by changes too often");
}

void RouteSocket::change(nl_msg& request, const std::string& doing) const {
  ask(socket_.get(), request, doing);
}

}  // namespace husk::network
