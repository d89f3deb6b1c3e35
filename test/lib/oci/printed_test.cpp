// SPDX-License-Identifier: Apache-2.0
// What husk prints: state, features, the example of `husk spec`.
#include <catch2/catch_test_macros.hpp>
#include <cstdlib>
#include <fstream>
#include <set>

#include "lib/oci/bundle.hpp"
#include "lib/oci/check.hpp"
#include "lib/oci/example.hpp"
#include "lib/oci/features.hpp"
#include "lib/oci/state.hpp"
#include "test/lib/oci/fixtures.hpp"

namespace husk::oci::test {

using nlohmann::json;

namespace {

// What runc itself writes; nothing where it is not installed.
std::optional<json> runc_example(const std::string& flags) {
  if (std::system("command -v runc >/dev/null 2>&1") != 0) return std::nullopt;
  const TemporaryDirectory directory;
  const std::string command = "cd '" + directory.path().string() + "' && runc spec " + flags;
  REQUIRE(std::system(command.c_str()) == 0);
  std::ifstream file(directory.path() / "config.json");
  return json::parse(file);
}

void check_like_runc(const std::string& flags, bool rootless, unsigned id) {
  auto expected = runc_example(flags);
  if (!expected) SKIP("runc is not installed");
  json written = example_spec(rootless, id, id);
  // The two that are husk's own.
  CHECK(written["ociVersion"] == "1.2.0");
  CHECK(written["hostname"] == "husk");
  for (const char* key : {"ociVersion", "hostname"}) {
    written.erase(key);
    expected->erase(key);
  }
  CHECK(json::diff(*expected, written) == json::array());
}

}  // namespace

TEST_CASE("example: is runc's, field by field", "[oci]") { check_like_runc("", false, 0); }

TEST_CASE("example: rootless is runc's, field by field", "[oci]") {
  if (::geteuid() != 0) SKIP("needs root: runc maps the caller's id");
  check_like_runc("--rootless", true, 0);
}

TEST_CASE("example: maps the ids it is given", "[oci]") {
  const Spec spec = example_spec(true, 1000, 1001);
  CHECK(spec.linux_.uid_mappings.at(0).host_id == 1000);
  CHECK(spec.linux_.gid_mappings.at(0).host_id == 1001);
}

TEST_CASE("state: fields come in runc's order, annotations only if there are any", "[oci]") {
  State state{.oci_version = "1.2.0",
              .id = "c1",
              .pid = 42,
              .status = "running",
              .bundle = "/b",
              .rootfs = "/b/rootfs",
              .created = "2026-11-23T19:06:00.123456789Z",
              .annotations = {},
              .owner = "root"};
  CHECK(to_ordered_json(state).dump() ==
        R"({"ociVersion":"1.2.0","id":"c1","pid":42,"status":"running","bundle":"/b",)"
        R"("rootfs":"/b/rootfs","created":"2026-11-23T19:06:00.123456789Z","owner":"root"})");
  state.pid = 0;
  state.status = "stopped";
  state.annotations = {{"b", "2"}, {"a", "1"}};
  CHECK(to_ordered_json(state).dump() ==
        R"({"ociVersion":"1.2.0","id":"c1","pid":0,"status":"stopped","bundle":"/b",)"
        R"("rootfs":"/b/rootfs","created":"2026-11-23T19:06:00.123456789Z",)"
        R"("annotations":{"a":"1","b":"2"},"owner":"root"})");
}

TEST_CASE("features: has what callers look for", "[oci]") {
  const json all = features();
  CHECK(all["ociVersionMin"] == "1.0.0");
  CHECK(all["ociVersionMax"] == "1.2.0");
  const auto has = [&](const char* pointer, const char* word) {
    const auto& list = all[json::json_pointer(pointer)];
    return std::find(list.begin(), list.end(), word) != list.end();
  };
  CHECK(has("/mountOptions", "rro"));  // moby:daemon/daemon_linux.go
  CHECK(has("/linux/namespaces", "network"));
  CHECK(!has("/linux/namespaces", "user"));
  CHECK(!has("/linux/seccomp/actions", "SCMP_ACT_NOTIFY"));
  CHECK(all["linux"]["capabilities"].size() == 41);
  CHECK(all["linux"]["mountExtensions"]["idmap"]["enabled"] == false);
  CHECK(all["linux"]["cgroup"]["v1"] == false);
  CHECK(all["linux"]["cgroup"]["v2"] == true);
  CHECK(all["linux"]["cgroup"]["systemd"] == true);  // --systemd-cgroup makes a scope
  CHECK(all["potentiallyUnsafeConfigAnnotations"] == json{"org.systemd.property."});
  CHECK(all["hooks"] == json{"prestart", "createRuntime", "createContainer", "startContainer",
                             "poststart", "poststop"});
}

TEST_CASE("features: no list names a thing twice", "[oci]") {
  const json all = features();
  for (const char* pointer :
       {"/hooks", "/mountOptions", "/linux/namespaces", "/linux/capabilities",
        "/linux/seccomp/actions", "/linux/seccomp/operators", "/linux/seccomp/archs"}) {
    INFO(pointer);
    const auto& list = all[json::json_pointer(pointer)];
    CHECK(std::set<json>(list.begin(), list.end()).size() == list.size());
  }
}

TEST_CASE("features: every namespace that is claimed passes the check", "[oci]") {
  const json all = features();
  for (const auto& type : all["linux"]["namespaces"]) {
    Spec spec = example_spec(false, 0, 0);
    const std::string name = type;
    std::erase_if(spec.linux_.namespaces, [&](const Namespace& ns) { return ns.type == name; });
    spec.linux_.namespaces.push_back({.type = name, .path = {}});
    INFO(name);
    CHECK_NOTHROW(check_spec(spec));
  }
}

}  // namespace husk::oci::test
