// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch_test_macros.hpp>
#include <fstream>
#include <nlohmann/json.hpp>

#include "lib/runtime/host/host_cgroup.hpp"
#include "lib/runtime/record/state_store.hpp"
#include "lib/systemd/scope.hpp"
#include "test/lib/runtime/husk_bench.hpp"
#include "test/lib/systemd/fake_manager.hpp"

using namespace husk;
using namespace husk::runtime;
using namespace husk::test;
using Units = std::map<std::string, std::string>;

namespace {

constexpr const char* unit = "pod-c1.scope";

/// The record of the container "c1" whose unit that is, in the VM `vm_id`. damaged: nothing but what
/// clean-up needs can be read.
void write_record(const HuskBench& bench, const std::string& vm_id, bool damaged) {
  ContainerRecord record;
  record.id = "c1";
  record.vm_id = vm_id;
  record.unit = unit;
  const StateStore store(bench.path("root"));
  StateDir state = store.reserve("c1");
  state.save(record);
  state.keep();
  nlohmann::json json = record;
  if (damaged) json["version"] = 99;
  std::ofstream(bench.path("root") / "c1/state.json") << json;
}

}  // namespace

TEST_CASE("delete: a unit of the same name and container id under another root stays",
          "[runtime][root]") {
  HuskBench bench;
  systemd::FakeManager manager;
  systemd::start_scope(
      plan_cgroup(":pod:c1", {.container = "c1", .vm = "12345678"}, true, {}).scope.value(),
      ::getpid());
  const Units started = manager.units();
  REQUIRE(started.contains(unit));
  bool damaged = false, ours = false;
  SECTION("another root's") {}
  SECTION("another root's, and a damaged record") { damaged = true; }
  SECTION("its own") { ours = true; }
  SECTION("its own, and a damaged record") { damaged = ours = true; }
  write_record(bench, ours ? "12345678" : "12345679", damaged);
  bench.runtime().remove("c1", damaged);
  CHECK_FALSE(std::filesystem::exists(bench.path("root") / "c1"));
  CHECK(manager.units() == (ours ? Units{} : started));
}
