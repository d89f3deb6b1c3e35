// SPDX-License-Identifier: Apache-2.0
// The programs of filters.hpp, run by the kernel on frames of any shape, without a link: as the filter of a socket.
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <optional>

#include "lib/base/error.hpp"
#include "lib/network/filters.hpp"
#include "test/lib/network/frames.hpp"

using namespace husk;
using namespace husk::network;
using namespace husk::test;

namespace {

constexpr const char* card_mac = "02:42:ac:11:00:02";
constexpr const char* sender_mac = "fe:dc:ba:98:76:54";

/// The number of bytes that a program lets through of a frame, which is its answer where that is less.
std::size_t answer_to(const FrameProgram& program, const Frame& frame) {
  std::array<int, 2> ends{};
  check_sys(::socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, ends.data()), "socketpair");
  const UniqueFd sender{ends[0]}, receiver{ends[1]};
  FrameProgram copy = program;
  const sock_fprog filter{.len = static_cast<unsigned short>(copy.size()), .filter = copy.data()};
  check_sys(::setsockopt(receiver.get(), SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof filter),
            "attach a program");
  ::send(sender.get(), frame.data(), frame.size(), 0);  // fails where the program answers with 0
  std::array<char, 4096> got{};
  const ssize_t size = ::recv(receiver.get(), got.data(), got.size(), MSG_DONTWAIT);
  return size < 0 ? 0 : static_cast<std::size_t>(size);
}

bool matches(const FrameProgram& program, const Frame& frame) {
  const std::size_t answer = answer_to(program, frame);
  CHECK((answer == 0 || answer == frame.size()));
  return answer != 0;
}

/// TC_ACT_OK is 0; no opinion, TC_ACT_UNSPEC, is all ones.
bool is_left_to_the_stack(const Frame& frame) { return !matches(leave_reserved_ports(), frame); }

Frame udp4(std::uint16_t port) {
  return ethernet(card_mac, sender_mac, ETH_P_IP,
                  udp_packet("10.0.0.1", 53, "10.0.0.2", port, "text"));
}

Frame udp6(std::uint16_t port) {
  return ethernet(card_mac, sender_mac, ETH_P_IPV6,
                  udp_packet("fd00::1", 53, "fd00::2", port, "text"));
}

Frame changed(Frame frame, std::size_t place, char byte) {
  frame.at(place) = byte;
  return frame;
}

}  // namespace

TEST_CASE("frames: answers to the reserved ports are left to the stack, up to their boundaries") {
  const std::pair<std::uint16_t, bool> cases[] = {{0, false},    {53, false},    {61439, false},
                                                  {61440, true}, {61441, true},  {61695, true},
                                                  {61951, true}, {61952, false}, {65535, false}};
  for (const auto& [port, is_left] : cases) {
    CAPTURE(port);
    CHECK(is_left_to_the_stack(udp4(port)) == is_left);
    CHECK(is_left_to_the_stack(udp6(port)) == is_left);
    CHECK(is_left_to_the_stack(changed(udp4(port), 23, IPPROTO_TCP)) == is_left);
    CHECK(is_left_to_the_stack(changed(udp6(port), 20, IPPROTO_TCP)) == is_left);
  }
}

TEST_CASE("frames: what only looks like an answer to a reserved port goes to the guest") {
  const Frame answer4 = udp4(61440), answer6 = udp6(61440);
  for (const int number :
       {int{IPPROTO_ICMP}, int{IPPROTO_SCTP}, int{IPPROTO_GRE}, int{IPPROTO_ICMPV6}}) {
    CAPTURE(number);
    const auto protocol = static_cast<char>(number);
    CHECK_FALSE(is_left_to_the_stack(changed(answer4, 23, protocol)));
    CHECK_FALSE(is_left_to_the_stack(changed(answer6, 20, protocol)));
  }
  CHECK_FALSE(is_left_to_the_stack(changed(answer4, 12, '\x86')));  // another type of frame
  // Fragments, the first one as well: the guest puts them together. "Don't fragment" is no fragment.
  CHECK_FALSE(is_left_to_the_stack(changed(answer4, 20, '\x20')));
  CHECK_FALSE(is_left_to_the_stack(changed(answer4, 20, '\x01')));
  CHECK_FALSE(is_left_to_the_stack(changed(answer4, 21, '\x01')));
  CHECK(is_left_to_the_stack(changed(answer4, 20, '\x40')));
}

TEST_CASE("frames: the port is looked for behind the options of IPv4") {
  Frame frame = udp4(53);
  frame.insert(34,
               std::string("\x01\x01\xf0\x00", 4));  // would be port 61440 without a look at IHL
  frame[14] = '\x46';
  CHECK_FALSE(is_left_to_the_stack(frame));
  frame = udp4(61440);
  frame.insert(34, std::string(40, '\x01'));
  frame[14] = '\x4f';
  CHECK(is_left_to_the_stack(frame));
}

TEST_CASE("frames: one that is cut off before its port is the stack's, which drops it") {
  for (const Frame& whole : {udp4(53), udp6(53)}) {
    const std::size_t port_end = whole.size() - std::string("text").size() - 4;
    for (std::size_t size = 1; size < port_end; ++size) {
      CAPTURE(size);
      CHECK(is_left_to_the_stack(whole.substr(0, size)));
    }
    CHECK_FALSE(is_left_to_the_stack(whole.substr(0, port_end)));
  }
}

TEST_CASE("frames: those of another source than the card's are dropped, whichever byte differs") {
  constexpr std::size_t dropped = 2;  // TC_ACT_SHOT
  const FrameProgram program = drop_other_sources(sender_mac);
  const Frame own = udp4(53);
  CHECK(answer_to(program, own) == own.size());
  CHECK(answer_to(program, changed(own, 0, '\x33')) == own.size());  // whom it goes to is not asked
  for (std::size_t byte = 6; byte < 12; ++byte) {
    CAPTURE(byte);
    CHECK(answer_to(program, changed(own, byte, static_cast<char>(own[byte] ^ 1))) == dropped);
    CHECK(answer_to(program, changed(own, byte, static_cast<char>(own[byte] ^ 0x80))) == dropped);
  }
  CHECK(answer_to(drop_other_sources("00:00:00:00:00:00"), own) == dropped);
  CHECK(answer_to(drop_other_sources("FE:DC:BA:98:76:54"), own) == own.size());
}

TEST_CASE("frames: a source that is no MAC address is refused") {
  for (const char* mac : {"", "eth0", "02", "02:42:ac:11:00",
                          "02:42:ac:11:00:", "02-42-ac-11-00-02", "gg:42:ac:11:00:02"}) {
    CAPTURE(mac);
    CHECK_THROWS_WITH(drop_other_sources(mac), "it has no MAC address");
  }
}

TEST_CASE("frames: the stack learns from ARP, and from neighbours' and routers' messages alone") {
  const FrameProgram program = match_neighbour_discovery();
  CHECK(matches(program, ethernet(card_mac, sender_mac, ETH_P_ARP,
                                  arp_request(sender_mac, "10.0.0.1", "10.0.0.2"))));
  // RFC 4861: solicitations of routers (133) and redirects (137) are the guest's; 128 is ping.
  const std::pair<int, bool> types[] = {{0, false},  {128, false}, {133, false}, {134, true},
                                        {135, true}, {136, true},  {137, false}, {255, false}};
  for (const auto& [type, is_learnt] : types) {
    CAPTURE(type);
    const std::string content = static_cast<char>(type) + std::string(23, '\0');
    const Frame frame =
        ethernet(card_mac, sender_mac, ETH_P_IPV6, icmpv6_packet("fe80::1", "ff02::1", content));
    CHECK(matches(program, frame) == is_learnt);
    CHECK_FALSE(matches(program, changed(frame, 20, IPPROTO_UDP)));
    CHECK_FALSE(matches(program, changed(frame, 13, '\0')));  // of IPv4 then
    CHECK_FALSE(matches(program, frame.substr(0, 54)));       // without its type
  }
  CHECK_FALSE(matches(program, udp4(53)));
  CHECK_FALSE(matches(program, udp6(53)));
  CHECK(matches(match_all(), "x"));
}
