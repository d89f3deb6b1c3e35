// SPDX-License-Identifier: Apache-2.0
#include "lib/guestcomm/protocol/dns.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <nlohmann/json.hpp>

#include "lib/base/error.hpp"

using namespace husk;
using namespace husk::guestcomm;
using nlohmann::json;

namespace {

std::string every_byte() {
  std::string bytes;
  for (int byte = 0; byte < 256; ++byte) bytes += static_cast<char>(byte);
  return bytes;
}

}  // namespace

TEST_CASE("DNS messages: every byte comes as it was sent", "[guestcomm]") {
  const std::string message = GENERATE(std::string(), every_byte(), std::string(4096, '\xff'));
  const auto query = json::parse(
      json(DnsQuery{.number = UINT32_MAX, .over_tcp = GENERATE(true, false), .message = message})
          .dump());
  CHECK(query.get<DnsQuery>().number == UINT32_MAX);
  CHECK(query.get<DnsQuery>().over_tcp == query["over_tcp"]);
  CHECK(query.get<DnsQuery>().message == message);
  const auto answer = json::parse(json(DnsAnswer{.number = 0, .message = message}).dump());
  CHECK(answer.get<DnsAnswer>().number == 0);
  CHECK(answer.get<DnsAnswer>().message == message);
}

TEST_CASE("DNS messages: the limits hold for what comes, exactly", "[guestcomm]") {
  const auto with = [](std::size_t bytes) {
    return json{{"number", 1U}, {"over_tcp", false}, {"message", std::string(2 * bytes, 'a')}};
  };
  CHECK(with(max_dns_query_bytes).get<DnsQuery>().message.size() == max_dns_query_bytes);
  CHECK_THROWS_AS(with(max_dns_query_bytes + 1).get<DnsQuery>(), Error);
  CHECK(with(max_dns_answer_bytes).get<DnsAnswer>().message.size() == max_dns_answer_bytes);
  CHECK_THROWS_AS(with(max_dns_answer_bytes + 1).get<DnsAnswer>(), Error);
}

TEST_CASE("DNS messages: what is none is refused", "[guestcomm]") {
  const json fine{{"number", 1U}, {"over_tcp", true}, {"message", "00ff"}};
  REQUIRE(fine.get<DnsQuery>().message == std::string("\0\xff", 2));
  const auto [key, value] = GENERATE(table<std::string, json>({{"number", -1},
                                                               {"number", 4294967296},
                                                               {"number", 1.5},
                                                               {"number", "1"},
                                                               {"number", nullptr},
                                                               {"message", "0"},
                                                               {"message", "0F"},
                                                               {"message", "0x"},
                                                               {"message", " 0"},
                                                               {"message", 12},
                                                               {"message", json::array()}}));
  CAPTURE(key, value.dump());
  json wrong = fine;
  wrong[key] = value;
  CHECK_THROWS_AS(wrong.get<DnsQuery>(), Error);
  CHECK_THROWS_AS(wrong.get<DnsAnswer>(), Error);
  wrong.erase(key);
  CHECK_THROWS_AS(wrong.get<DnsQuery>(), Error);
  CHECK_THROWS_AS(wrong.get<DnsAnswer>(), Error);
}

TEST_CASE("DNS queries: whether over TCP is yes or no", "[guestcomm]") {
  for (const json& wrong : {json(1), json("true"), json(nullptr)})
    CHECK_THROWS_AS((json{{"number", 1U}, {"message", ""}, {"over_tcp", wrong}}.get<DnsQuery>()),
                    Error);
  CHECK_THROWS_AS((json{{"number", 1U}, {"message", ""}}.get<DnsQuery>()), Error);
  CHECK_THROWS_AS(json::array().get<DnsQuery>(), Error);
  CHECK_THROWS_AS(json("x").get<DnsAnswer>(), Error);
}

TEST_CASE("with_dns_length: what dns_length reads", "[guestcomm]") {
  for (const std::size_t size : {0UL, 1UL, 255UL, 256UL, 32768UL, max_dns_answer_bytes}) {
    CAPTURE(size);
    const std::string framed = with_dns_length(std::string(size, 'x'));
    CHECK(framed.size() == size + dns_length_bytes);
    CHECK(dns_length(framed) == size);
    CHECK(dns_length(framed + "more") == size);
  }
  CHECK(with_dns_length("ab") == std::string("\0\x02"
                                             "ab",
                                             4));  // RFC 1035: the high byte first
  CHECK_FALSE(dns_length(""));
  CHECK_FALSE(dns_length("\xff"));
}
