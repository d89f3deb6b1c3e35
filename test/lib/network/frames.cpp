// SPDX-License-Identifier: Apache-2.0
#include "test/lib/network/frames.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <array>
#include <chrono>
#include <cstdio>
#include <cstring>

#include "lib/base/error.hpp"

namespace husk::test {
namespace {

using namespace std::chrono_literals;
using network::InNetworkNamespace;

constexpr auto patience = 1s;

UniqueFd open_socket(int domain, int type, int protocol) {
  return UniqueFd{
      check_sys(::socket(domain, type | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol), "socket")};
}

bool gets_from(int fd, const std::function<bool(const std::string&)>& f) {
  const auto end = std::chrono::steady_clock::now() + patience;
  std::array<char, 65536> buffer{};
  for (;;) {
    const auto left = end - std::chrono::steady_clock::now();
    if (left <= 0ns) return false;
    pollfd p{fd, POLLIN, 0};
    const auto ms = std::chrono::ceil<std::chrono::milliseconds>(left).count();
    if (check_sys(::poll(&p, 1, static_cast<int>(ms)), "poll") == 0) return false;
    const ssize_t size = check_sys(::read(fd, buffer.data(), buffer.size()), "read");
    if (f(std::string(buffer.data(), static_cast<std::size_t>(size)))) return true;
  }
}

std::string big_endian(std::uint16_t number) {
  return {static_cast<char>(number >> 8), static_cast<char>(number & 0xff)};
}

std::uint16_t checksum(const std::string& bytes) {
  std::uint32_t sum = 0;
  for (std::size_t i = 0; i + 1 < bytes.size(); i += 2)
    sum += static_cast<std::uint32_t>(static_cast<unsigned char>(bytes[i]) << 8 |
                                      static_cast<unsigned char>(bytes[i + 1]));
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<std::uint16_t>(~sum);
}

/// The checksum of the content, which has none yet, goes to `at` in it.
std::string ipv6_packet(const std::string& from, const std::string& to, std::uint8_t protocol,
                        std::uint8_t hops, std::string content, std::size_t at) {
  const std::string size = big_endian(static_cast<std::uint16_t>(content.size()));
  const std::string pseudo =
      from + to + big_endian(0) + size + big_endian(0) + big_endian(protocol);
  content.replace(at, 2,
                  big_endian(checksum(pseudo + content + std::string(content.size() % 2, '\0'))));
  return std::string("\x60\0\0\0", 4) + size + static_cast<char>(protocol) +
         static_cast<char>(hops) + from + to + content;
}

struct Endpoint {
  sockaddr_storage storage{};
  socklen_t size = 0;
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
};

Endpoint endpoint(const std::string& address, std::uint16_t port) {
  Endpoint e;
  const std::string bytes = bytes_of_address(address);
  if (bytes.size() == 4) {
    auto& in = *reinterpret_cast<sockaddr_in*>(&e.storage);
    in.sin_family = AF_INET, in.sin_port = ::htons(port), e.size = sizeof in;
    std::memcpy(&in.sin_addr, bytes.data(), bytes.size());
  } else {
    auto& in = *reinterpret_cast<sockaddr_in6*>(&e.storage);
    in.sin6_family = AF_INET6, in.sin6_port = ::htons(port), e.size = sizeof in;
    std::memcpy(&in.sin6_addr, bytes.data(), bytes.size());
  }
  return e;
}

}  // namespace

TestTap::TestTap(const TestNamespace& in, const std::string& name) {
  const InNetworkNamespace inside(in.get());
  fd_.reset(check_sys(::open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK), "/dev/net/tun"));
  ifreq request{};
  name.copy(request.ifr_name, IFNAMSIZ - 1);
  request.ifr_flags = IFF_TAP | IFF_NO_PI;
  check_sys(::ioctl(fd_.get(), TUNSETIFF, &request), "TUNSETIFF");
}

void TestTap::send(const Frame& frame) const {
  check_sys(::write(fd_.get(), frame.data(), frame.size()), "write to a tap");
}

bool TestTap::gets(const std::function<bool(const Frame&)>& f) const {
  return gets_from(fd_.get(), f);
}

PacketSocket::PacketSocket(const TestNamespace& in, const std::string& link) {
  const InNetworkNamespace inside(in.get());
  fd_ = open_socket(AF_PACKET, SOCK_RAW, ::htons(ETH_P_ALL));
  sockaddr_ll address{};
  address.sll_family = AF_PACKET;
  address.sll_protocol = ::htons(ETH_P_ALL);
  address.sll_ifindex = static_cast<int>(::if_nametoindex(link.c_str()));
  check_sys(::bind(fd_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), "bind");
}

void PacketSocket::send(const Frame& frame) const {
  check_sys(::write(fd_.get(), frame.data(), frame.size()), "write to a link");
}

bool PacketSocket::gets(const std::function<bool(const Frame&)>& f) const {
  return gets_from(fd_.get(), f);
}

UdpSocket::UdpSocket(const TestNamespace& in, const std::string& address, std::uint16_t port) {
  const InNetworkNamespace inside(in.get());
  const Endpoint own = endpoint(address, port);
  fd_ = open_socket(own.storage.ss_family, SOCK_DGRAM, 0);
  check_sys(::bind(fd_.get(), own.get(), own.size), "bind " + address);
}

std::uint16_t UdpSocket::port() const {
  sockaddr_in6 own{};  // the port of IPv4's stands at the same place
  socklen_t size = sizeof own;
  check_sys(::getsockname(fd_.get(), reinterpret_cast<sockaddr*>(&own), &size), "getsockname");
  return ::ntohs(own.sin6_port);
}

void UdpSocket::send(const std::string& text, const std::string& address,
                     std::uint16_t port) const {
  const Endpoint to = endpoint(address, port);
  check_sys(::sendto(fd_.get(), text.data(), text.size(), 0, to.get(), to.size), "send");
}

bool UdpSocket::gets(const std::string& text) const {
  return gets_from(fd_.get(), [&](const std::string& got) { return got == text; });
}

std::string bytes_of_mac(const std::string& mac) {
  std::array<unsigned, 6> b{};
  std::sscanf(mac.c_str(), "%x:%x:%x:%x:%x:%x", &b[0], &b[1], &b[2], &b[3], &b[4], &b[5]);
  std::string bytes;
  for (const unsigned byte : b) bytes += static_cast<char>(byte);
  return bytes;
}

std::string bytes_of_address(const std::string& address) {
  const bool is_ipv6 = address.find(':') != std::string::npos;
  std::string bytes(is_ipv6 ? 16 : 4, '\0');
  if (::inet_pton(is_ipv6 ? AF_INET6 : AF_INET, address.c_str(), bytes.data()) != 1)
    throw Error(Errc::invalid_argument, address);
  return bytes;
}

Frame ethernet(const std::string& to, const std::string& from, std::uint16_t type,
               const std::string& content) {
  return bytes_of_mac(to) + bytes_of_mac(from) + big_endian(type) + content;
}

std::string udp_packet(const std::string& from, std::uint16_t from_port, const std::string& to,
                       std::uint16_t to_port, const std::string& text) {
  const std::string source = bytes_of_address(from), target = bytes_of_address(to);
  const auto size = static_cast<std::uint16_t>(8 + text.size());
  std::string udp =
      big_endian(from_port) + big_endian(to_port) + big_endian(size) + big_endian(0) + text;
  if (source.size() == 16) return ipv6_packet(source, target, IPPROTO_UDP, 64, udp, 6);
  std::string header = std::string("\x45\0", 2) +
                       big_endian(static_cast<std::uint16_t>(20 + size)) +
                       std::string("\0\0\0\0\x40\x11\0\0", 8) + source + target;
  header.replace(10, 2, big_endian(checksum(header)));
  return header + udp;
}

std::string icmpv6_packet(const std::string& from, const std::string& to,
                          const std::string& content) {
  return ipv6_packet(bytes_of_address(from), bytes_of_address(to), IPPROTO_ICMPV6, 255, content, 2);
}

std::string arp_request(const std::string& mac, const std::string& from, const std::string& to) {
  return std::string("\0\1\x08\0\6\4\0\1", 8) + bytes_of_mac(mac) + bytes_of_address(from) +
         std::string(6, '\0') + bytes_of_address(to);
}

}  // namespace husk::test
