// SPDX-License-Identifier: Apache-2.0
// A socket to the kernel's routing tables, rtnetlink(7), by libnl.
#pragma once

#include <linux/netlink.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>

#include <memory>
#include <string>
#include <vector>

namespace husk::network {

/// Returns `result` unless it is negative; then throws system with the kernel's words.
int check_nl(int result, const std::string& doing);

using NetlinkMessage = std::unique_ptr<nl_msg, decltype(&nlmsg_free)>;
/// A request of that type, empty so far. Throws system.
NetlinkMessage make_message(int type, int flags);

/// Adds to a message; what does not fit throws internal.
void put_bytes(nl_msg& message, int attribute, const void* data, std::size_t size);
void put_text(nl_msg& message, int attribute, const std::string& text);
void put_number(nl_msg& message, int attribute, std::uint32_t number);
template <typename T>
void put_struct(nl_msg& message, int attribute, const T& value) {
  put_bytes(message, attribute, &value, sizeof value);
}
/// An attribute that holds those put into the message while it lives.
class NestedAttribute {
 public:
  NestedAttribute(nl_msg& message, int attribute);
  NestedAttribute(const NestedAttribute&) = delete;
  NestedAttribute& operator=(const NestedAttribute&) = delete;
  ~NestedAttribute() { nla_nest_end(&message_, start_); }

 private:
  nl_msg& message_;
  nlattr* start_;
};

/// A message of the kernel.
class NetlinkReply {
 public:
  explicit NetlinkReply(const nlmsghdr& header);
  nlmsghdr& header() const { return *reinterpret_cast<nlmsghdr*>(bytes_.get()); }

 private:
  std::unique_ptr<char[]> bytes_;
};

/// Belongs to the network namespace in which it was made, wherever the caller goes then.
class RouteSocket {
 public:
  RouteSocket();  ///< throws system
  nl_sock* get() const noexcept { return socket_.get(); }

  /// The messages of the answer; a table that changed meanwhile is asked for again. Throws system.
  std::vector<NetlinkReply> dump(nl_msg& request, const std::string& doing) const;
  /// Sends a change and waits for the kernel's word on it. Throws system with its errno.
  void change(nl_msg& request, const std::string& doing) const;

 private:
  std::unique_ptr<nl_sock, decltype(&nl_socket_free)> socket_;
};

}  // namespace husk::network
