// SPDX-License-Identifier: Apache-2.0
// Questions and orders to the kernel by rtnetlink(7), netlink(7). Not by libnl, which makes a static
// program half a MiB larger: its core wants getprotobyname(3), and with that the name services.
#pragma once

#include <linux/netlink.h>

#include <concepts>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "lib/base/unique_fd.hpp"

namespace husk::agent {

/// NLA_HDRLEN and its like mix signs.
inline constexpr int attribute_header = sizeof(nlattr);
inline constexpr std::size_t message_header = sizeof(nlmsghdr);
/// Messages and attributes begin at multiples of this.
constexpr std::size_t aligned(std::size_t size) { return (size + 3) & ~std::size_t{3}; }

inline const void* nla_data(const nlattr* attribute) {
  return reinterpret_cast<const char*>(attribute) + attribute_header;
}
inline int nla_len(const nlattr* attribute) { return attribute->nla_len - attribute_header; }

class NetlinkMessage {
 public:
  template <class Header>
  NetlinkMessage(int type, int flags, const Header& header) : NetlinkMessage(type, flags) {
    append(&header, sizeof header);
  }

  /// These throw invalid_argument for more than 32 KiB.
  void put(int attribute, const void* data, std::size_t size);
  template <std::unsigned_integral T>
  void put_number(int attribute, T number) {
    put(attribute, &number, sizeof number);
  }
  void put_text(int attribute, const std::string& text);
  /// Adds an attribute that holds what `fill` puts.
  template <std::invocable F>
  void put_nested(int attribute, F&& fill) {
    const std::size_t start = begin_nested(attribute);
    fill();
    end_nested(start);
  }
  /// Adds a structure as it is, not an attribute, at the returned place.
  std::size_t append(const void* data, std::size_t size);
  /// Replaces the structure at a place that append() returned.
  void overwrite(std::size_t place, const void* data, std::size_t size);
  std::size_t size() const { return bytes_.size(); }
  /// Sets the length and adds `flags`.
  const std::vector<char>& finish(std::uint16_t flags);

 private:
  NetlinkMessage(int type, int flags);
  std::size_t begin_nested(int attribute);
  void end_nested(std::size_t start);

  std::vector<char> bytes_;
};

/// The attributes of a message, or within an attribute.
class Attributes {
 public:
  Attributes(const nlmsghdr& message, std::size_t header);
  explicit Attributes(const nlattr& nested);
  Attributes(const void* begin, int size)
      : begin_(static_cast<const nlattr*>(begin)), size_(size) {}

  const nlattr* operator[](int attribute) const;  ///< nullptr: it is not there
  bool has(int attribute) const { return (*this)[attribute] != nullptr; }
  template <std::unsigned_integral T>
  T number(int attribute, T otherwise = 0) const {
    const nlattr* const found = (*this)[attribute];
    if (found == nullptr || nla_len(found) < static_cast<int>(sizeof(T))) return otherwise;
    T number{};
    std::memcpy(&number, nla_data(found), sizeof number);
    return number;
  }
  std::string text(int attribute) const;

 private:
  const nlattr* begin_;
  int size_;
};

/// A message of the answer to a dump.
class NetlinkReply {
 public:
  explicit NetlinkReply(const nlmsghdr& message);
  const nlmsghdr& message() const { return *reinterpret_cast<const nlmsghdr*>(bytes_.data()); }
  template <class Header>
  const Header& header() const {
    return *reinterpret_cast<const Header*>(bytes_.data() + message_header);
  }
  template <class Header>
  Attributes attributes() const {
    return {message(), sizeof(Header)};
  }

 private:
  std::vector<char> bytes_;
};

class NetlinkSocket {
 public:
  NetlinkSocket();
  /// Carries it out. Throws system with the kernel's error.
  void change(NetlinkMessage message) const;
  /// Asks again when the kernel says that the table changed meanwhile. Throws system.
  template <class Header>
  std::vector<NetlinkReply> dump(int type, const Header& header) const {
    return dump(NetlinkMessage(type, NLM_F_DUMP, header));
  }

 private:
  std::vector<NetlinkReply> dump(NetlinkMessage message) const;
  bool receive(std::vector<NetlinkReply>& replies) const;
  void send(const std::vector<char>& message) const;

  UniqueFd socket_;
};

}  // namespace husk::agent
