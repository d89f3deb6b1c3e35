// SPDX-License-Identifier: Apache-2.0
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
#include <netinet/in.h>

#include <array>
#include <cstdio>

#include "lib/base/error.hpp"
#include "lib/network/filters.hpp"
#include "lib/network/reserved_ports.hpp"

namespace husk::network {
namespace {

constexpr std::uint32_t matched = UINT32_MAX, unmatched = 0;
constexpr std::uint32_t no_opinion = static_cast<std::uint32_t>(TC_ACT_UNSPEC);
// Offsets from the start of the frame.
constexpr std::uint32_t source_mac = 6, ether_type = 12, header = ETH_HLEN;
constexpr std::uint32_t ipv4_fragment = header + 6, ipv4_protocol = header + 9;
constexpr std::uint32_t ipv6_next = header + 6, ipv6_content = header + 40;
constexpr std::uint32_t more_or_offset = 0x3fff;  ///< of a fragment
// The kernel has taken a VLAN's tag out of the frame.
constexpr auto has_vlan = static_cast<std::uint32_t>(SKF_AD_OFF + SKF_AD_VLAN_TAG_PRESENT);
// RFC 4861: router advertisement, neighbour solicitation, neighbour advertisement.
constexpr std::uint8_t first_advertisement = 134, last_advertisement = 136;

sock_filter load(int size, std::uint32_t offset) {
  return BPF_STMT(static_cast<std::uint16_t>(BPF_LD | BPF_ABS | size), offset);
}
/// Skips so many instructions.
sock_filter if_equal(std::uint32_t value, std::uint8_t yes, std::uint8_t no) {
  return BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, yes, no);
}
sock_filter answer(std::uint32_t value) { return BPF_STMT(BPF_RET | BPF_K, value); }

}  // namespace

// A program that looks beyond the end of a frame ends with 0, which as a verdict is TC_ACT_OK: such a
// frame goes to the stack, which drops what is cut off.
// clang-format off: a line for each question

FrameProgram leave_reserved_ports() {
  return {load(BPF_W, has_vlan),
          if_equal(0, 0, 18),
          load(BPF_H, ether_type),
          if_equal(ETH_P_IP, 0, 8),
          load(BPF_B, ipv4_protocol),
          if_equal(IPPROTO_TCP, 1, 0),
          if_equal(IPPROTO_UDP, 0, 13),
          load(BPF_H, ipv4_fragment),
          BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, more_or_offset, 11, 0),
          BPF_STMT(BPF_LDX | BPF_B | BPF_MSH, header),  // the length of IPv4's header
          BPF_STMT(BPF_LD | BPF_H | BPF_IND, header + 2),
          BPF_JUMP(BPF_JMP | BPF_JA, 5, 0, 0),
          if_equal(ETH_P_IPV6, 0, 7),
          load(BPF_B, ipv6_next),
          if_equal(IPPROTO_TCP, 1, 0),
          if_equal(IPPROTO_UDP, 0, 4),
          load(BPF_H, ipv6_content + 2),
          BPF_STMT(BPF_ALU | BPF_AND | BPF_K, reserved_ports_mask),
          if_equal(guestcomm::first_host_port, 0, 1),
          answer(TC_ACT_OK),
          answer(no_opinion)};
}

FrameProgram drop_other_sources(const std::string& mac) {
  std::array<unsigned, 6> b{};
  if (std::sscanf(mac.c_str(), "%2x:%2x:%2x:%2x:%2x:%2x", &b[0], &b[1], &b[2], &b[3], &b[4],
                  &b[5]) != 6)
    throw Error(Errc::unsupported, "it has no MAC address");
  return {load(BPF_W, source_mac),     if_equal(b[0] << 24 | b[1] << 16 | b[2] << 8 | b[3], 0, 3),
          load(BPF_H, source_mac + 4), if_equal(b[4] << 8 | b[5], 0, 1),
          answer(no_opinion),          answer(TC_ACT_SHOT)};
}

FrameProgram match_neighbour_discovery() {
  return {load(BPF_W, has_vlan),
          if_equal(0, 0, 9),
          load(BPF_H, ether_type),
          if_equal(ETH_P_ARP, 6, 0),
          if_equal(ETH_P_IPV6, 0, 6),
          load(BPF_B, ipv6_next),
          if_equal(IPPROTO_ICMPV6, 0, 4),
          load(BPF_B, ipv6_content),
          BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, first_advertisement, 0, 2),
          BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, last_advertisement, 1, 0),
          answer(matched),
          answer(unmatched)};
}

// clang-format on

FrameProgram match_all() { return {answer(matched)}; }

}  // namespace husk::network
