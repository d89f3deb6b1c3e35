// SPDX-License-Identifier: Apache-2.0
#include "lib/guestcomm/protocol/statistics.hpp"

#include <catch2/catch_test_macros.hpp>
#include <nlohmann/json.hpp>

#include "lib/base/error.hpp"

using namespace husk;
using namespace husk::guestcomm;
using nlohmann::json;

namespace {

const char* const nothing = R"({"cpu": {}, "memory": {}, "memory_events": {}, "interfaces": []})";

ContainerStatistics read(const json& message) { return message.get<ContainerStatistics>(); }

}  // namespace

TEST_CASE("statistics: what is sent arrives", "[guestcomm]") {
  ContainerStatistics sent;
  sent.cpu = {{"usage_usec", UINT64_MAX}};
  sent.memory_limit = 4096;
  sent.interfaces = {{"eth0", {{"rx_bytes", 7}}}};
  const ContainerStatistics received = read(json(sent));
  CHECK(received.cpu == sent.cpu);
  CHECK(received.memory_limit == sent.memory_limit);
  CHECK_FALSE(received.memory_used);
  REQUIRE(received.interfaces.size() == 1);
  CHECK(received.interfaces[0].name == "eth0");
  CHECK(received.interfaces[0].counters == sent.interfaces[0].counters);
}

TEST_CASE("statistics: a guest cannot flood or steer with them", "[guestcomm]") {
  json message = json::parse(nothing);
  CHECK(read(message).cpu.empty());
  SECTION("counts that are none") {
    for (const json& value : {json(-1), json("1"), json(1.5), json(nullptr), json::array()}) {
      message["cpu"] = {{"usage_usec", value}};
      CHECK_THROWS_AS(read(message), Error);
      message["cpu"] = json::object();
      message["memory_limit"] = value;
      CHECK_THROWS_AS(read(message), Error);
      message.erase("memory_limit");
    }
  }
  SECTION("names") {
    for (const char* name : {"", "a b", "\x1b[2J", "a\nb"}) {
      message["memory"] = {{name, 1}};
      CHECK_THROWS_AS(read(message), Error);
    }
    message["memory"] = {{std::string(65, 'a'), 1}};
    CHECK_THROWS_AS(read(message), Error);
  }
  SECTION("numbers of them") {
    for (std::size_t i = 0; i <= ContainerStatistics::max_counters; ++i)
      message["memory"]["c" + std::to_string(i)] = 1;
    CHECK_THROWS_AS(read(message), Error);
    message["memory"] = json::object();
    for (std::size_t i = 0; i <= ContainerStatistics::max_interfaces; ++i)
      message["interfaces"].push_back({{"name", "e"}, {"counters", json::object()}});
    CHECK_THROWS_AS(read(message), Error);
  }
  SECTION("an interface's name") {
    message["interfaces"].push_back(
        {{"name", "e\x1b[2J\u00e9" + std::string(100, 'x')}, {"counters", json::object()}});
    const std::string name = read(message).interfaces.at(0).name;
    CHECK(name.substr(0, 7) == "e?[2J??");
    CHECK(name.size() == 64);
  }
  SECTION("parts that are missing") {
    for (const char* part : {"cpu", "memory", "memory_events", "interfaces"}) {
      json cut = message;
      cut.erase(part);
      CHECK_THROWS_AS(read(cut), Error);
    }
    CHECK_THROWS_AS(read(json::array()), Error);
  }
}

TEST_CASE("container_event: of the two types only", "[guestcomm]") {
  for (const auto type : {ContainerEvent::Type::oom, ContainerEvent::Type::stopped}) {
    const auto event = json(ContainerEvent{"one", type}).get<ContainerEvent>();
    CHECK(event.id == "one");
    CHECK(event.type == type);
  }
  CHECK_THROWS_AS((json{{"id", "one"}, {"type", "other"}}.get<ContainerEvent>()), Error);
  CHECK_THROWS_AS((json{{"type", "oom"}}.get<ContainerEvent>()), Error);
}
