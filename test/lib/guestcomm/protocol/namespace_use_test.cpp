// SPDX-License-Identifier: Apache-2.0
#include "lib/guestcomm/protocol/namespace_use.hpp"

#include <catch2/catch_test_macros.hpp>
#include <nlohmann/json.hpp>

#include "lib/base/error.hpp"
#include "lib/guestcomm/protocol/create_messages.hpp"

using namespace husk;
using namespace husk::guestcomm;
using nlohmann::json;
using Way = NamespaceUse::Way;

namespace {

json message(json namespaces) {
  CreateContainer request;
  request.id = "c";
  request.stdio = Pipes<std::string>{};
  json j = request;
  j["namespaces"] = std::move(namespaces);
  return j;
}

}  // namespace

TEST_CASE("namespace use: every way comes back as it was sent", "[guestcomm]") {
  CreateContainer request;
  request.id = "c";
  request.stdio = Pipes<std::string>{};
  request.namespaces = {{"pid", "4:4026531836", Way::make},
                        {"ipc", "4:1", Way::join, "4:2"},
                        {"uts", std::string(64, '9'), Way::share, std::string(64, '1')}};
  CHECK(json(request).get<CreateContainer>().namespaces == request.namespaces);
}

TEST_CASE("namespace use: what is no type, name or way of one is refused", "[guestcomm]") {
  const json good{{"type", "pid"}, {"name", "4:17"}, {"way", "join"}, {"origin", "4:18"}};
  CHECK_NOTHROW(message({good}).get<CreateContainer>());
  CHECK_NOTHROW(message(json::array()).get<CreateContainer>());
  json without = message({});
  without.erase("namespaces");
  CHECK(without.get<CreateContainer>().namespaces.empty());  // of a host that speaks protocol 3
  const auto with = [&](const char* key, const json& value) {
    json changed = good;
    changed[key] = value;
    return changed;
  };
  for (const json& one :
       {with("type", "mount"), with("type", "net"), with("type", ""), with("type", 7),
        with("name", ""), with("name", "../1"), with("name", "4:17 "),
        with("name", std::string(65, '1')), with("name", nullptr), with("way", "take"),
        with("way", ""), with("way", true), with("origin", ""), with("origin", "x"),
        with("origin", 5), json("pid"), json::object(), json(nullptr)}) {
    CAPTURE(one.dump());
    CHECK_THROWS_AS(message({one}).get<CreateContainer>(), Error);
  }
  CHECK_THROWS_AS(message({good, with("name", "5:5")}).get<CreateContainer>(), Error);  // twice pid
  for (const json& list : {json("x"), json::object({{"type", "pid"}}), json(nullptr)})
    CHECK_THROWS_AS(message(list).get<CreateContainer>(), Error);
}
