// SPDX-License-Identifier: Apache-2.0
#include "lib/runtime/host/host_cgroup.hpp"

#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <csignal>
#include <fstream>

#include "lib/base/error.hpp"
#include "lib/base/files.hpp"
#include "lib/base/log.hpp"
#include "lib/base/random_id.hpp"

using namespace husk;
using namespace husk::runtime;
using Catch::Matchers::ContainsSubstring;

namespace {
std::string path_of(const std::string& cgroups_path, bool systemd) {
  return plan_cgroup(cgroups_path, {"c1", "1234"}, systemd, {}).path;
}
}  // namespace

TEST_CASE("plan_cgroup: every form the callers use", "[runtime]") {
  CHECK(path_of("", false) == "/husk/c1");
  CHECK(path_of("/docker/abc", false) == "/docker/abc");
  CHECK(path_of("libpod_parent/x", false) == "/libpod_parent/x");
  CHECK(path_of("system.slice:docker:abc", true) == "/system.slice/docker-abc.scope");
  CHECK(path_of("a-b-c.slice:crio:x", true) == "/a.slice/a-b.slice/a-b-c.slice/crio-x.scope");
  CHECK(path_of("-.slice:p:x", true) == "/p-x.scope");
  CHECK(path_of(":p:x", true) == "/system.slice/p-x.scope");
  CHECK(path_of("", true) == "/system.slice/husk-c1.scope");
  CHECK(path_of("machine.slice::pod.slice", true) == "/machine.slice/pod.slice");
  CHECK_THROWS_AS(path_of("/a/../../b", false), Error);
  CHECK_THROWS_AS(path_of("/", false), Error);
}

TEST_CASE("plan_cgroup: systemd's unit has the caller's slice, name and properties", "[runtime]") {
  const CgroupPlan plan =
      plan_cgroup("system.slice:docker:abc", {"abc", "1234"}, true,
                  {{"org.systemd.property.CollectMode", "'inactive-or-failed'"}, {"other", "x"}});
  REQUIRE(plan.scope);
  CHECK(plan.scope->name == "docker-abc.scope");
  CHECK(plan.scope->slice == "system.slice");
  CHECK(plan.scope->description == "husk container abc in VM 1234");
  CHECK(plan.scope->properties ==
        std::vector<systemd::UnitProperty>{{"CollectMode", std::string("inactive-or-failed")}});
  CHECK_FALSE(plan_cgroup("/docker/abc", {"abc", "1234"}, false, {}).scope);
}

TEST_CASE("plan_cgroup: another form for systemd is refused as runc refuses it", "[runtime]") {
  for (const char* form : {"/docker/abc", "a:b", "a:b:c:d"}) {
    CHECK_THROWS_WITH(path_of(form, true),
                      ContainsSubstring("slice:prefix:name") && ContainsSubstring(form));
  }
}

TEST_CASE("HostCgroup: a process put into it is there in every hierarchy; it goes unless kept",
          "[runtime][root]") {
  if (::geteuid() != 0) SKIP("needs root");
  const std::string path = "/husk-test-" + random_hex(4) + "/leaf";
  std::vector<std::filesystem::path> made;
  {
    HostCgroup cgroup({path, std::nullopt});
    made = cgroup.made();
    REQUIRE(made.size() >= 2);
    const pid_t child = ::fork();
    if (child == 0) {
      ::pause();
      ::_exit(0);
    }
    cgroup.add(child);
    std::ifstream table("/proc/" + std::to_string(child) + "/cgroup");
    std::size_t inside = 0;
    for (std::string line; std::getline(table, line);) inside += line.ends_with(path) ? 1U : 0U;
    CHECK(inside == made.size() / 2);
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
  }
  for (const auto& directory : made) CHECK_FALSE(std::filesystem::exists(directory));
}

namespace {

namespace fs = std::filesystem;

/// A cgroup that is there already in one hierarchy: freezer of v1, or v2.
class Existing {
 public:
  explicit Existing(const char* control_file) {
    for (const fs::path& mount_point :
         {fs::path("/sys/fs/cgroup/freezer"), fs::path("/sys/fs/cgroup/unified"),
          fs::path("/sys/fs/cgroup")}) {
      if (::mkdir((mount_point / name_).c_str(), 0755) != 0) continue;
      if (fs::exists(mount_point / name_ / control_file)) {
        directory_ = mount_point / name_;
        return;
      }
      ::rmdir((mount_point / name_).c_str());
    }
  }
  Existing(const Existing&) = delete;
  Existing& operator=(const Existing&) = delete;
  ~Existing() {
    if (is_there()) ::rmdir(directory_.c_str());
  }
  bool is_there() const { return !directory_.empty(); }
  const fs::path& directory() const { return directory_; }
  CgroupPlan plan(const std::string& below = "") const {
    return {"/" + name_ + below, std::nullopt};
  }
  std::size_t count_everywhere() const {
    std::size_t count = 0;
    for (const auto& hierarchy : fs::directory_iterator("/sys/fs/cgroup"))
      count += fs::exists(hierarchy.path() / name_) ? 1U : 0U;
    return count;
  }

 private:
  std::string name_ = "husk-test-" + random_hex(4);
  fs::path directory_;
};

void check_refused_while(const char* file, const char* frozen, const char* thawed) {
  const Existing existing(file);
  if (!existing.is_there()) SKIP("no such freezer here");
  const std::size_t before = existing.count_everywhere();
  write_existing(existing.directory() / file, frozen);
  CHECK_THROWS_WITH(HostCgroup(existing.plan()), "container's cgroup unexpectedly frozen");
  CHECK_THROWS_WITH(HostCgroup(existing.plan("/below")), "container's cgroup unexpectedly frozen");
  CHECK(existing.count_everywhere() == before);
  write_existing(existing.directory() / file, thawed);
  CHECK_NOTHROW(HostCgroup(existing.plan()));
}

}  // namespace

TEST_CASE("HostCgroup: one that is frozen is refused in runc's words, cgroup v1",
          "[runtime][root]") {
  check_refused_while("freezer.state", "FROZEN", "THAWED");
}

TEST_CASE("HostCgroup: one that is frozen is refused in runc's words, cgroup v2",
          "[runtime][root]") {
  check_refused_while("cgroup.freeze", "1", "0");
}

TEST_CASE("HostCgroup: processes that are in it already are told in runc's words",
          "[runtime][root]") {
  const Existing existing("cgroup.procs");
  if (!existing.is_there()) SKIP("no cgroup can be made here");
  const pid_t child = ::fork();
  if (child == 0) {
    ::pause();
    ::_exit(0);
  }
  std::vector<std::string> warnings;
  set_log_sink([&](LogLevel level, std::string_view text) {
    if (level == LogLevel::warning) warnings.emplace_back(text);
  });
  { const HostCgroup empty(existing.plan()); }
  CHECK(warnings.empty());
  ::mkdir((existing.directory() / "below").c_str(), 0755);
  write_existing(existing.directory() / "below/cgroup.procs", std::to_string(child));
  { const HostCgroup full(existing.plan()); }
  set_log_sink({});
  CHECK(warnings ==
        std::vector<std::string>{"container's cgroup is not empty: 1 process(es) found"});
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  for (int n = 0; n < 100 && ::rmdir((existing.directory() / "below").c_str()) != 0; ++n)
    ::usleep(10000);
}
