// SPDX-License-Identifier: Apache-2.0
#include "lib/check/engines.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <fstream>

#include "test/lib/base/scratch.hpp"

using namespace husk::check;
using Catch::Matchers::ContainsSubstring;
namespace fs = std::filesystem;

namespace {

/// A root directory of a host.
class Root {
 public:
  void write(const fs::path& file, const std::string& text = {}) const {
    fs::create_directories((*this / file).parent_path());
    std::ofstream(*this / file) << text;
  }
  std::vector<Engine> engines() const { return find_engines(scratch_.path()); }
  Engine only() const {
    const std::vector<Engine> found = engines();
    REQUIRE(found.size() == 1);
    return found.front();
  }
  fs::path operator/(const fs::path& file) const { return scratch_.path() / file; }

 private:
  husk::test::Scratch scratch_;
};

}  // namespace

TEST_CASE("check: engines that are not installed are not named") {
  const Root root;
  root.write("etc/docker/daemon.json", "{}");
  root.write("usr/bin/containerd");
  CHECK(root.engines().empty());
}

TEST_CASE("check: Docker knows husk by a runtime's path") {
  const Root root;
  root.write("usr/bin/dockerd");
  CHECK_FALSE(root.only().knows_husk);
  CHECK(root.only().error.empty());
  root.write("etc/docker/daemon.json",
             R"({"runtimes": {"runc2": {"path": "/usr/bin/runc"}, "x": 5}})");
  CHECK_FALSE(root.only().knows_husk);
  root.write("etc/docker/daemon.json", R"({"runtimes": {"vm": {"path": "/usr/local/bin/husk"}}})");
  CHECK(root.only().knows_husk);
  CHECK(root.only().file == root / "etc/docker/daemon.json");
}

TEST_CASE("check: a file that an engine cannot read is named, with the line") {
  const Root root;
  root.write("usr/bin/dockerd");
  root.write("etc/docker/daemon.json", "{ \"runtimes\": ");
  CHECK_THAT(root.only().error, ContainsSubstring("etc/docker/daemon.json: "));
  root.write("etc/docker/daemon.json", "[]");
  CHECK_FALSE(root.only().knows_husk);
  root.write("etc/docker/daemon.json", "\"text\"");
  CHECK_FALSE(root.only().knows_husk);
  root.write("etc/docker/daemon.json", "{}");
  root.write("usr/bin/podman");
  root.write("etc/containers/containers.conf.d/bad.conf", "[engine]\nx = \n");
  CHECK_THAT(root.engines().at(1).error, ContainsSubstring("bad.conf:2: "));
}

TEST_CASE("check: Podman, CRI-O and containerd know husk by a path in one of their files") {
  const Root root;
  root.write("usr/bin/podman");
  root.write("usr/bin/crio");
  root.write("usr/bin/kubelet");
  root.write("usr/bin/containerd");
  for (const Engine& engine : root.engines()) CHECK_FALSE(engine.knows_husk);
  root.write("etc/containers/containers.conf",
             "[engine]\nruntime = \"crun\"\n# husk = [\"/usr/bin/husk\"]\n");
  root.write("etc/containers/containers.conf.d/50-husk.conf",
             "[engine.runtimes]\nhusk = [\"/usr/bin/husk\"]\n");
  root.write("etc/crio/crio.conf.d/10-husk.conf",
             "[crio.runtime.runtimes.husk]\nruntime_path = \"/usr/bin/husk\"\nruntime_root = "
             "\"/run/crio/husk\"\n");
  root.write(
      "etc/containerd/config.toml",
      "version = "
      "2\n[plugins.\"io.containerd.grpc.v1.cri\".containerd.runtimes.husk.options]\nBinaryName = "
      "\"/usr/bin/husk\"\n");
  const std::vector<Engine> engines = root.engines();
  REQUIRE(engines.size() == 3);
  for (const Engine& engine : engines) {
    INFO(engine.name);
    CHECK(engine.knows_husk);
    CHECK(engine.error.empty());
  }
  CHECK(engines[0].file == root / "etc/containers/containers.conf.d/50-husk.conf");
}

TEST_CASE("check: a husk that a file names and that is not there is an error of the engine") {
  const Root root;
  root.write("usr/bin/dockerd");
  root.write("etc/docker/daemon.json", R"({"runtimes": {"vm": {"path": "/opt/husk"}}})");
  CHECK(root.only().knows_husk);
  CHECK(root.only().program_error == (root / "opt/husk").string() + ": no such file or directory");
  root.write("opt/husk");
  CHECK_THAT(root.only().program_error, ContainsSubstring("permission denied"));
  fs::permissions(root / "opt/husk", fs::perms(0755));
  CHECK(root.only().program_error.empty());
  // One of two runtimes.
  root.write("etc/docker/daemon.json",
             R"({"runtimes": {"a": {"path": "/none/husk"}, "vm": {"path": "/opt/husk"}}})");
  CHECK_THAT(root.only().program_error, ContainsSubstring("/none/husk: "));
  // Docker looks for this one in its PATH.
  root.write("etc/docker/daemon.json", R"({"runtimes": {"vm": {"path": "husk"}}})");
  CHECK(root.only().program_error.empty());
}

TEST_CASE("check: Podman takes the first program of a runtime that is there, and the last file") {
  const Root root;
  root.write("usr/bin/podman");
  root.write("usr/bin/husk");
  fs::permissions(root / "usr/bin/husk", fs::perms(0755));
  const fs::path first = "etc/containers/containers.conf.d/10-husk.conf",
                 second = "etc/containers/containers.conf.d/20-husk.conf";
  root.write(first, "[engine.runtimes]\nhusk = [\"/opt/husk\", \"/usr/bin/husk\"]\n");
  CHECK(root.only().program_error.empty());
  root.write(first, "[engine.runtimes]\nhusk = [\"/opt/husk\", \"/srv/husk\"]\n");
  CHECK_THAT(root.only().program_error, ContainsSubstring("/srv/husk: no such file"));
  CHECK(root.only().file == root / first);
  root.write(second, "[engine.runtimes]\nhusk = [\"/usr/bin/husk\"]\n");
  CHECK(root.only().program_error.empty());
  CHECK(root.only().file == root / second);
  // Another runtime does not replace the first one.
  root.write(second, "[engine.runtimes]\nvm = [\"/usr/bin/husk\"]\n");
  CHECK_THAT(root.only().program_error, ContainsSubstring("/srv/husk: no such file"));
  CHECK(root.only().file == root / first);
}
