// SPDX-License-Identifier: Apache-2.0
// The bytes of netlink messages, and what the kernel answers.
#include "agent/network/netlink.hpp"

#include <linux/rtnetlink.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <memory>

#include "lib/base/error.hpp"
#include "test/loopback_namespace.hpp"

using namespace husk;
using namespace husk::agent;
using Catch::Matchers::ContainsSubstring;

namespace {

/// A message of ours, read as one of the kernel's.
NetlinkReply reply_of(NetlinkMessage& message) {
  const std::vector<char>& bytes = message.finish(0);
  return NetlinkReply(*reinterpret_cast<const nlmsghdr*>(bytes.data()));
}

/// Bytes where an address sanitizer sees each read past their end.
struct ExactBytes {
  explicit ExactBytes(std::vector<std::uint16_t> words)
      : size(static_cast<int>(words.size() * 2)), bytes(new std::uint16_t[words.size()]) {
    std::copy(words.begin(), words.end(), bytes.get());
  }
  Attributes attributes() const { return {bytes.get(), size}; }
  int size;
  std::unique_ptr<std::uint16_t[]> bytes;
};

}  // namespace

TEST_CASE("netlink: what is put into a message is read from it", "[agent][network]") {
  rtmsg header{};
  header.rtm_dst_len = 17;
  NetlinkMessage message(RTM_NEWROUTE, NLM_F_CREATE, header);
  message.put_number(1, std::uint8_t{7});  // padded to four bytes
  message.put_text(2, "eth0");
  message.put_nested(3, [&] {
    message.put_number(1, std::uint16_t{0xbeef});
    message.put_nested(9, [&] { message.put_number(4, std::uint32_t{77}); });
  });
  message.put(4, nullptr, 0);
  message.put_number(5, std::uint32_t{5});
  const NetlinkReply reply = reply_of(message);
  CHECK(reply.message().nlmsg_type == RTM_NEWROUTE);
  CHECK(reply.message().nlmsg_flags == NLM_F_CREATE);
  CHECK(reply.message().nlmsg_len == message.size());
  CHECK(reply.header<rtmsg>().rtm_dst_len == 17);
  const Attributes all = reply.attributes<rtmsg>();
  CHECK(all.number<std::uint8_t>(1) == 7);
  CHECK(all.text(2) == "eth0");
  REQUIRE(all.has(3));
  const Attributes inner(*all[3]);
  CHECK(inner.number<std::uint16_t>(1) == 0xbeef);
  REQUIRE(inner.has(9));
  CHECK(Attributes(*inner[9]).number<std::uint32_t>(4) == 77);
  CHECK(all.has(4));
  CHECK(all.text(4).empty());
  CHECK(all.number<std::uint32_t>(5) == 5);
  CHECK_FALSE(all.has(6));
  CHECK(all.text(6).empty());
}

TEST_CASE("netlink: a number of another size than asked for is not read past its end",
          "[agent][network]") {
  NetlinkMessage message(RTM_NEWLINK, 0, ifinfomsg{});
  message.put_number(1, std::uint8_t{9});
  message.put_number(2, std::uint32_t{0x01020304});
  const NetlinkReply reply = reply_of(message);
  const Attributes all = reply.attributes<ifinfomsg>();
  CHECK(all.number<std::uint32_t>(1, 42) == 42);
  CHECK(all.number<std::uint8_t>(2) == 4);  // the least byte
  CHECK(all.number<std::uint32_t>(3, 43) == 43);
}

TEST_CASE("netlink: lengths that lie end the reading of attributes", "[agent][network]") {
  const auto finds = [](std::vector<std::uint16_t> words, int attribute) {
    return ExactBytes(std::move(words)).attributes().has(attribute);
  };
  CHECK(finds({4, 1, 4, 2}, 2));
  CHECK(finds({5, 1, 0, 0, 4, 2}, 2));     // padded
  CHECK(finds({4, 2 | NLA_F_NESTED}, 2));  // flags are not the number
  CHECK(finds({4, 2 | NLA_F_NET_BYTEORDER}, 2));
  CHECK_FALSE(finds({}, 1));
  CHECK_FALSE(finds({4}, 1));           // half a header
  CHECK_FALSE(finds({0, 1, 4, 2}, 2));  // would be read for ever
  CHECK_FALSE(finds({3, 1, 4, 2}, 2));
  CHECK_FALSE(finds({9, 1, 4, 2}, 1));  // past the end
  CHECK_FALSE(finds({65535, 1}, 1));
  CHECK_FALSE(finds({5, 1, 0}, 2));  // its padding is missing
}

TEST_CASE("netlink: a text ends with its attribute or at its first NUL", "[agent][network]") {
  NetlinkMessage message(RTM_NEWLINK, 0, ifinfomsg{});
  message.put(1, "eth0", 4);
  message.put(2, "a\0b", 4);
  message.put_text(3, "");
  const NetlinkReply reply = reply_of(message);
  const Attributes all = reply.attributes<ifinfomsg>();
  CHECK(all.text(1) == "eth0");
  CHECK(all.text(2) == "a");
  CHECK(all.has(3));
  CHECK(all.text(3).empty());
}

TEST_CASE("netlink: an attribute that is too large is refused, not cut", "[agent][network]") {
  const std::string text = "attribute too large for a netlink message";
  NetlinkMessage message(RTM_NEWLINK, 0, ifinfomsg{});
  CHECK_THROWS_WITH(message.put_text(1, std::string(70000, 'x')), text);
  CHECK_THROWS_WITH(message.put_nested(2,
                                       [&] {
                                         for (std::uint32_t i = 0; i < 5000; ++i)
                                           message.put_number(1, i);
                                       }),
                    text);
}

TEST_CASE("netlink: the kernel's refusal is its error, and the socket goes on",
          "[agent][network]") {
  test::in_loopback_namespace([] {
    const NetlinkSocket socket;
    ifinfomsg missing{};
    missing.ifi_index = 4711;
    for (int i = 0; i < 2; ++i) {
      try {
        socket.change(NetlinkMessage(RTM_DELLINK, 0, missing));
        FAIL("there is no such link");
      } catch (const Error& error) {
        CHECK(error.sys_errno() == ENODEV);
        CHECK(error.what() == std::string("no such device"));
      }
      const auto links = socket.dump(RTM_GETLINK, ifinfomsg{});
      REQUIRE(links.size() == 1);
      CHECK(links[0].attributes<ifinfomsg>().text(IFLA_IFNAME) == "lo");
    }
    CHECK_THROWS_WITH(socket.dump(0x7f, ifinfomsg{}), "operation not supported");
  });
}
