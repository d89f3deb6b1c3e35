// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include "lib/oci/bundle.hpp"
#include "lib/oci/check.hpp"
#include "test/lib/oci/fixtures.hpp"

namespace husk::oci::test {

using nlohmann::json;

TEST_CASE("spec: what was written is read back the same, every field set", "[oci]") {
  const Spec spec = full_spec();
  const json written = spec;
  CHECK(written.get<Spec>() == spec);
  // By way of text, as it travels to the guest.
  CHECK(parse_json(written.dump(), "spec").get<Spec>() == spec);
}

TEST_CASE("spec: every field of the full spec reaches the JSON", "[oci]") {
  const json written = full_spec();
  const json expected_process_keys = {"apparmorProfile", "args",       "capabilities",
                                      "consoleSize",     "cwd",        "env",
                                      "execCPUAffinity", "ioPriority", "noNewPrivileges",
                                      "oomScoreAdj",     "rlimits",    "scheduler",
                                      "selinuxLabel",    "terminal",   "user"};
  json keys = json::array();
  for (const auto& [key, value] : written["process"].items()) keys.push_back(key);
  CHECK(keys == expected_process_keys);
  CHECK(written["linux"].size() == 17);
  CHECK(written["linux"]["resources"].size() == 9);
  CHECK(written["linux"]["resources"]["memory"].size() == 9);
  CHECK(written["linux"]["resources"]["cpu"].size() == 9);
  CHECK(written["linux"]["resources"]["blockIO"].size() == 7);
  CHECK(written["linux"]["resources"]["pids"]["limit"] == -1);
  CHECK(written["linux"]["seccomp"].size() == 7);
  CHECK(written["hooks"].size() == 6);
  CHECK(written["mounts"][0].size() == 6);
  CHECK(written["process"]["rlimits"][0]["hard"] == 18446744073709551615u);
}

TEST_CASE("spec: an almost empty spec is written with nothing but what it holds", "[oci]") {
  Spec spec;
  spec.oci_version = "1.2.0";
  spec.process.emplace().cwd = "/";
  CHECK(json(spec) == json::parse(R"({"ociVersion": "1.2.0",
                                      "process": {"cwd": "/", "user": {"uid": 0, "gid": 0}}})"));
  CHECK(json(spec).get<Spec>() == spec);
}

TEST_CASE("spec: an empty capabilities object is not an absent one", "[oci]") {
  Process process;
  process.cwd = "/";
  process.capabilities.emplace();
  const json written = process;
  CHECK(written["capabilities"] == json::object());
  CHECK(written.get<Process>() == process);
}

TEST_CASE("spec: Docker's config.json is read, accepted, and survives a round trip", "[oci]") {
  const json document = parse_json(engine_config("docker.json"), "docker.json");
  const auto spec = document.get<Spec>();
  check_spec(spec);
  CHECK(spec.process->args == std::vector<std::string>{"sh", "-c", "echo hello"});
  CHECK(spec.process->user.additional_gids == std::vector<std::uint32_t>{0, 10});
  CHECK(spec.hooks.prestart.at(0).args.at(0) == "libnetwork-setkey");
  CHECK(spec.linux_.resources->devices.size() == 8);
  CHECK(spec.linux_.seccomp->syscalls.at(2).args.at(0).value == 4294967295);
  CHECK(spec.linux_.resources->pids_limit == 0);
  CHECK(json(spec).get<Spec>() == spec);
}

TEST_CASE("spec: Podman's config.json is read, accepted, and survives a round trip", "[oci]") {
  const json document = parse_json(engine_config("podman.json"), "podman.json");
  const auto spec = document.get<Spec>();
  check_spec(spec);
  CHECK(spec.process->user.umask == 18);
  CHECK(spec.annotations.at("io.container.manager") == "libpod");
  CHECK(spec.linux_.sysctl.at("net.ipv4.ping_group_range") == "0 0");
  CHECK(json(spec).get<Spec>() == spec);
}

TEST_CASE("spec: null means absent wherever Go's decoder takes it so", "[oci]") {
  const json document = json::parse(R"({
    "ociVersion": "1.2.0", "hostname": null, "mounts": null, "hooks": null, "annotations": null,
    "root": {"path": "rootfs", "readonly": null},
    "process": {"cwd": "/", "args": null, "env": null, "user": null, "capabilities": null,
                "terminal": null, "oomScoreAdj": null},
    "linux": {"namespaces": null, "resources": {"pids": null, "memory": {"limit": null},
              "rdma": null}, "seccomp": null, "intelRdt": null, "sysctl": null}})");
  const auto spec = document.get<Spec>();
  CHECK(!spec.hostname);
  CHECK(!spec.process->oom_score_adj);
  CHECK(!spec.process->capabilities);
  CHECK(!spec.linux_.has_intel_rdt);
  CHECK(!spec.linux_.resources->pids_limit);
  CHECK(!spec.linux_.resources->memory->limit);
  CHECK(!spec.linux_.resources->has_rdma);
}

TEST_CASE("spec: seccomp without a default action and rules is no filter", "[oci]") {
  const auto seccomp_of = [](const char* seccomp) {
    json document = json::parse(R"({"ociVersion": "1.0.0", "linux": {}})");
    document["linux"]["seccomp"] = json::parse(seccomp);
    return document.get<Spec>().linux_.seccomp;
  };
  CHECK(!seccomp_of("{}"));
  CHECK(
      !seccomp_of(R"({"defaultAction": "", "syscalls": [], "architectures": ["SCMP_ARCH_X86"]})"));
  CHECK(seccomp_of(R"({"defaultAction": "SCMP_ACT_ALLOW"})"));
  CHECK_THROWS_WITH(
      seccomp_of(R"({"syscalls": [{"names": ["read"], "action": "SCMP_ACT_ALLOW"}]})"),
      Catch::Matchers::ContainsSubstring("linux.seccomp.defaultAction"));
}

TEST_CASE("spec: mount destinations are read without what makes no difference", "[oci]") {
  const auto read = [](const char* destination) {
    json document = json::parse(R"({"ociVersion": "1.0.0", "mounts": [{}]})");
    document["mounts"][0]["destination"] = destination;
    return document.get<Spec>().mounts.at(0).destination;
  };
  CHECK(read("/mnt/") == "/mnt");
  CHECK(read("//a/./b/../c//") == "/a/c");
  CHECK(read("/") == "/");
  CHECK(read("/a/..") == "/");
  CHECK(read("/../..") == "/");
  CHECK(read("//") == "/");
  CHECK(read("dev/") == "dev");
  CHECK(read("") == "");
}

TEST_CASE("spec: unknown fields are skipped, other letters of a known one too", "[oci]") {
  const auto spec = json::parse(R"({"ociVersion": "1.0.0", "OCIVERSION": 5, "vm": {"x": [1]},
                                    "linux": {"new": 1, "cgroupspath": "/x"}})")
                        .get<Spec>();
  CHECK(spec.oci_version == "1.0.0");
  CHECK(spec.linux_.cgroups_path.empty());
}

TEST_CASE("spec: reading into a used value leaves nothing of it", "[oci]") {
  Spec spec = full_spec();
  json::parse(R"({"ociVersion": "1.0.0"})").get_to(spec);
  Spec expected;
  expected.oci_version = "1.0.0";
  CHECK(spec == expected);
}

TEST_CASE("spec: intelRdt and empty rdma and network classes are told apart", "[oci]") {
  const auto spec = json::parse(R"({"ociVersion": "1.0.0", "linux": {"intelRdt": {},
      "resources": {"rdma": {}, "network": {"classID": 1}}}})")
                        .get<Spec>();
  CHECK(spec.linux_.has_intel_rdt);
  CHECK(!spec.linux_.resources->has_rdma);
  CHECK(spec.linux_.resources->has_network);
}

TEST_CASE("spec: an empty namespace path is a new namespace", "[oci]") {
  const auto spec = json::parse(R"({"ociVersion": "1.0.0",
      "linux": {"namespaces": [{"type": "network", "path": ""}]}})")
                        .get<Spec>();
  CHECK(!spec.linux_.namespaces.at(0).path);
}

}  // namespace husk::oci::test
