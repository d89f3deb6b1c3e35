// SPDX-License-Identifier: Apache-2.0
// Frames as a guest's card sends and gets them, for one test: a tap without a VM behind it.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "lib/base/unique_fd.hpp"
#include "test/lib/network/test_namespace.hpp"

namespace husk::test {

using Frame = std::string;  ///< bytes, from the destination's MAC on

/// A tap of that name in the namespace; it goes with this.
class TestTap {
 public:
  TestTap(const TestNamespace& in, const std::string& name);
  void send(const Frame& frame) const;
  /// Whether a frame for which `f` holds arrives within a second; others are thrown away.
  bool gets(const std::function<bool(const Frame&)>& f) const;

 private:
  UniqueFd fd_;
};

/// All that passes at a link, both ways: packet(7).
class PacketSocket {
 public:
  PacketSocket(const TestNamespace& in, const std::string& link);
  void send(const Frame& frame) const;
  bool gets(const std::function<bool(const Frame&)>& f) const;

 private:
  UniqueFd fd_;
};

/// A UDP socket over IPv4 or, for an address with ':', IPv6.
class UdpSocket {
 public:
  UdpSocket(const TestNamespace& in, const std::string& address, std::uint16_t port);
  std::uint16_t port() const;
  void send(const std::string& text, const std::string& address, std::uint16_t port) const;
  bool gets(const std::string& text) const;  ///< within a second

 private:
  UniqueFd fd_;
};

std::string bytes_of_mac(const std::string& mac);
std::string bytes_of_address(const std::string& address);
Frame ethernet(const std::string& to, const std::string& from, std::uint16_t type,
               const std::string& content);
/// The content of an Ethernet frame of type 0x0800, or 0x86dd for IPv6 addresses.
std::string udp_packet(const std::string& from, std::uint16_t from_port, const std::string& to,
                       std::uint16_t to_port, const std::string& text);
std::string icmpv6_packet(const std::string& from, const std::string& to,
                          const std::string& content);
std::string arp_request(const std::string& mac, const std::string& from, const std::string& to);

}  // namespace husk::test
