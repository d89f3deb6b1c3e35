// SPDX-License-Identifier: Apache-2.0
#include "lib/guestcomm/protocol/shared_tmpfs.hpp"

#include <catch2/catch_test_macros.hpp>
#include <nlohmann/json.hpp>

#include "lib/base/error.hpp"
#include "lib/guestcomm/protocol/create_messages.hpp"

using namespace husk;
using namespace husk::guestcomm;
using nlohmann::json;

namespace {

json message_with_tmpfs(json shared) {
  CreateContainer request;
  request.id = "c";
  request.stdio = Pipes<std::string>{};
  json j = request;
  if (!shared.is_null()) j["shared_tmpfs"] = std::move(shared);
  return j;
}

const json good_part{{"path", "/a"}, {"mode", 0755}, {"uid", 1}, {"gid", 2}};

}  // namespace

TEST_CASE("shared tmpfs: comes back as it was sent", "[guestcomm]") {
  CreateContainer request;
  request.id = "c";
  request.stdio = Pipes<std::string>{};
  request.shared_tmpfs = {
      {.mount = 7,
       .name = "0:57",
       .options = {"nosuid", "nodev", "noexec", "size=65536k", "mode=1777", "uid=1", "gid=2"},
       .is_kept = true},
      {.mount = 0, .name = std::string(64, '9'), .options = {}, .is_kept = false},
      {.mount = 3,
       .name = "0:57",
       .options = {},
       .is_kept = true,
       .part = TmpfsPart{"/a/b", 07777, 0xffffffff, 5}}};
  CHECK(json(request).get<CreateContainer>().shared_tmpfs == request.shared_tmpfs);
  CHECK(message_with_tmpfs(nullptr).get<CreateContainer>().shared_tmpfs.empty());
}

TEST_CASE("shared tmpfs: a part is where an agent of before does not see it", "[guestcomm]") {
  CreateContainer request;
  request.stdio = Pipes<std::string>{};
  request.shared_tmpfs = {{.mount = 3, .name = "0:57", .part = TmpfsPart{.path = "/a"}}};
  CHECK_FALSE(json(request).contains("shared_tmpfs"));
}

TEST_CASE("shared tmpfs: what is no part of one is refused", "[guestcomm]") {
  const auto message_with = [&](const json& part) {
    json j = message_with_tmpfs(nullptr);
    j["shared_tmpfs_parts"] = {
        {{"mount", 1}, {"name", "0:1"}, {"options", json::array()}, {"kept", true}}};
    if (!part.is_null()) j["shared_tmpfs_parts"][0]["part"] = part;
    return j;
  };
  const auto with = [&](const char* key, const json& value) {
    json changed = good_part;
    changed[key] = value;
    return changed;
  };
  CHECK_NOTHROW(message_with(good_part).get<CreateContainer>());
  CHECK_NOTHROW(message_with(with("path", "/" + std::string(4094, 'x'))).get<CreateContainer>());
  for (const json& part :
       {with("path", ""), with("path", "a"), with("path", 5),
        with("path", "/" + std::string(4095, 'x')), with("path", std::string("/a\0b", 4)),
        with("mode", 010000), with("mode", -1), with("mode", "7"), with("uid", -1),
        with("uid", 0x100000000), with("gid", 0x100000000), json("/a"), json(nullptr)}) {
    CAPTURE(part.dump());
    CHECK_THROWS_AS(message_with(part).get<CreateContainer>(), Error);
  }
}

TEST_CASE("shared tmpfs: what is no mount, name or option of one is refused", "[guestcomm]") {
  const json good{{"mount", 1}, {"name", "0:1"}, {"options", {"size=1k"}}, {"kept", false}};
  CHECK_NOTHROW(message_with_tmpfs({good}).get<CreateContainer>());
  const auto with = [&](const char* key, const json& value) {
    json changed = good;
    changed[key] = value;
    return changed;
  };
  for (const json& one : {with("mount", -1),
                          with("mount", 65536),
                          with("mount", "1"),
                          with("name", ""),
                          with("name", "../x"),
                          with("name", std::string(65, '1')),
                          with("name", 5),
                          with("options", "size=1k"),
                          with("options", {"suid"}),
                          with("options", {"size="}),
                          with("options", {"size=1g,huge=always"}),
                          with("options", {"size=" + std::string(40, '1')}),
                          with("options", {"bind"}),
                          with("options", {"ro"}),
                          with("options", {7}),
                          with("options", std::vector<std::string>(17, "nodev")),
                          with("kept", 1),
                          json("x"),
                          json::object(),
                          json(nullptr)}) {
    CAPTURE(one.dump());
    CHECK_THROWS_AS(message_with_tmpfs({one}).get<CreateContainer>(), Error);
  }
  CHECK_THROWS_AS(message_with_tmpfs({with("part", good_part)}).get<CreateContainer>(), Error);
  CHECK_THROWS_AS(message_with_tmpfs({good, good}).get<CreateContainer>(), Error);
  for (const json& list : {json("x"), json::object({{"mount", 1}})})
    CHECK_THROWS_AS(message_with_tmpfs(list).get<CreateContainer>(), Error);
}
