// SPDX-License-Identifier: Apache-2.0
#include "lib/runtime/state_store.hpp"

#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <fstream>
#include <nlohmann/json.hpp>

#include "lib/base/error.hpp"
#include "test/lib/base/scratch.hpp"

using namespace husk;
using namespace husk::runtime;
using Catch::Matchers::ContainsSubstring;
using husk::test::Scratch;

namespace {
ContainerRecord make_record(const std::string& id) {
  ContainerRecord record;
  record.id = id;
  record.oci_version = "1.2.0";
  record.created = "2026-11-23T00:00:00.000000000Z";
  record.owner = "root";
  record.bundle = "/b";
  record.rootfs = "/b/rootfs";
  record.annotations = {{"a", "b"}};
  record.vm_id = "1234";
  record.cgroups = {"/sys/fs/cgroup/x"};
  record.hooks.poststop = {{.path = "/h", .args = {"h", "x"}, .env = {"A=b"}, .timeout = 3}};
  return record;
}
}  // namespace

TEST_CASE("StateDir: is gone again unless kept", "[runtime]") {
  const Scratch dir;
  const StateStore store(dir.path());
  { const StateDir reserved = store.reserve("c1"); }
  CHECK_FALSE(store.exists("c1"));
  {
    StateDir reserved = store.reserve("c1");
    reserved.keep();
  }
  CHECK(store.exists("c1"));
  CHECK_THROWS_WITH(store.reserve("c1"), "container with given ID already exists");
}

TEST_CASE("StateStore: a record comes back as it was", "[runtime]") {
  const Scratch dir;
  const StateStore store(dir.path());
  StateDir reserved = store.reserve("c1");
  ContainerRecord record = make_record("c1");
  record.shim = identify_process(::getpid());
  record.vm = VmRecord{.id = "1234",
                       .name = "husk-c1",
                       .process = {7, 8},
                       .helpers = {{9, 10}},
                       .address = guestcomm::VsockAddress{5}};
  reserved.save(record);
  const ContainerRecord back = store.load("c1");
  CHECK(nlohmann::json(back) == nlohmann::json(record));
  CHECK(back.vm->helpers == record.vm->helpers);
  CHECK(back.hooks == record.hooks);
}

TEST_CASE("ContainerRecord: the status follows the shim", "[runtime]") {
  ContainerRecord record = make_record("c1");
  CHECK(record.status() == "creating");
  record.shim = identify_process(::getpid());
  CHECK(record.status() == "created");
  record.started = true;
  CHECK(record.status() == "running");
  CHECK(record.to_state().pid == ::getpid());
  ++record.shim->start_time;  // that process is gone, another has its pid
  CHECK(record.status() == "stopped");
  CHECK(record.to_state().pid == 0);
}

TEST_CASE("StateStore: unknown, damaged and foreign entries are told apart", "[runtime]") {
  const Scratch dir;
  const StateStore store(dir.path());
  CHECK_THROWS_WITH(store.load("none"), "container does not exist");
  CHECK_THROWS_WITH(store.lock("none"), "container does not exist");
  CHECK_THROWS_AS(store.load("../x"), Error);
  std::filesystem::create_directories(dir.path() / "bad");
  for (const char* text : {"", "{", "[]", "{}", "{\"version\":2}", "{\"version\":1}"}) {
    CAPTURE(text);
    std::ofstream(dir.path() / "bad/state.json") << text;
    CHECK_THROWS_AS(store.load("bad"), Error);
  }
  std::filesystem::create_directories(dir.path() /
                                      "runc-container");  // another runtime's, without our file
  CHECK(store.ids() == std::vector<std::string>{"bad"});
}

TEST_CASE("StateStore: who holds the lock is seen by others", "[runtime]") {
  const Scratch dir;
  const StateStore store(dir.path());
  {
    StateDir reserved = store.reserve("c1");
    reserved.keep();
    CHECK(store.is_locked("c1"));
  }
  CHECK_FALSE(store.is_locked("c1"));
  const auto lock = store.lock("c1");
  REQUIRE(lock);
  CHECK(store.is_locked("c1"));
}
