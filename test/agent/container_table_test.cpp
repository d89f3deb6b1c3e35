// SPDX-License-Identifier: Apache-2.0
#include "agent/container/container_table.hpp"

#include <sched.h>
#include <sys/mount.h>

#include <catch2/catch_test_macros.hpp>
#include <thread>

#include "agent/setup/volumes.hpp"
#include "test/agent/container_bench.hpp"
#include "test/agent/setup/in_child.hpp"

using namespace husk::agent;
using husk::test::Bench;
using namespace std::chrono_literals;
namespace fs = std::filesystem;

namespace {

/// A table, and what it answered.
struct TableBench {
  Reply answer(const std::string& to) {
    return [this, to](const Outcome& outcome) {
      const auto* error = std::get_if<husk::Error>(&outcome);
      answers.push_back(to + std::string(error != nullptr ? error->what() : ""));
    };
  }
  void turn() {
    bench.loop.run_once(10ms);
    table.reap();
  }
  void run_until(std::size_t count) {
    for (int i = 0; i < 500 && answers.size() < count; ++i) turn();
  }
  bool has(const std::string& id) {
    try {
      table.find(id);
      return true;
    } catch (const husk::Error&) {
      return false;
    }
  }

  Bench bench;  // for its root, loop and cgroup
  std::vector<std::string> answers;
  ContainerTable table{bench.loop,
                       bench.cgroups,
                       {[](ConnectionId, const auto&) {}, [](ConnectionId, const auto&) {},
                        [](ConnectionId, const auto&) {}}};
};

}  // namespace

TEST_CASE("container table: whoever asks to delete a container is answered", "[root]") {
  SKIP_UNLESS_POSSIBLE();
  TableBench t;
  t.table.create({"one", t.bench.spec("true"), {}, {}}, t.answer("created"));
  t.run_until(1);
  REQUIRE(t.answers == std::vector<std::string>{"created"});
  t.table.remove("one", t.answer("first"));
  t.table.remove("one", t.answer("second"));
  t.run_until(3);
  CHECK(t.answers == std::vector<std::string>{"created", "first", "second"});
  CHECK_THROWS_AS(t.table.remove("one", t.answer("third")), husk::Error);
}

TEST_CASE("container table: one that runs is deleted once its owner has gone", "[root]") {
  SKIP_UNLESS_POSSIBLE();
  constexpr ConnectionId owner{7};
  TableBench t;
  t.table.create({"one", t.bench.spec("/bin/busybox sleep 1000"), {}, {}}, t.answer("created"));
  t.table.find("one").first().lend(owner);
  t.run_until(1);
  t.table.find("one").first().own(owner);
  t.table.find("one").start({}, t.answer("started"));
  t.run_until(2);
  REQUIRE(t.answers == std::vector<std::string>{"created", "started"});
  CHECK_THROWS_AS(t.table.remove("one", t.answer("too early")), husk::Error);
  t.table.connection_closed(owner);
  t.table.remove("one", t.answer("deleted"));  // it may not have ended yet
  t.run_until(3);
  CHECK(t.answers == std::vector<std::string>{"created", "started", "deleted"});
}

TEST_CASE("container table: a container waits while volumes are being unmounted", "[root]") {
  SKIP_UNLESS_POSSIBLE();
  const std::string seen = husk::test::in_own_namespaces(CLONE_NEWNS, [] {
    const fs::path volume = "/run/husk/shared/@volumes/1-2-left";
    for (const fs::path& path : {fs::path("/run"), volume}) {
      fs::create_directories(path);
      husk::check_sys(::mount("tmpfs", path.c_str(), "tmpfs", 0, ""), "mount " + path.string());
    }
    TableBench t;
    t.table.create({"one", t.bench.spec("true"), {}, {}}, t.answer("created"));
    t.run_until(1);
    t.table.remove("one", t.answer("removed"));
    while (t.has("one")) t.turn();
    t.bench.loop.run_once(0ms);  // makes the helper process, whose end is noticed later
    t.table.create({"two", t.bench.spec("true"), {}, {}}, t.answer("two"));
    const fs::path two = "/proc/" + std::to_string(t.table.find("two").first().pid());
    std::this_thread::sleep_for(300ms);
    const bool waits = fs::read_symlink(two / "ns/mnt") == fs::read_symlink("/proc/self/ns/mnt");
    t.run_until(3);
    t.table.remove("two", t.answer("gone"));
    t.run_until(4);
    std::string said = waits ? "waits" : "does not wait";
    for (const std::string& answer : t.answers) said += " " + answer;
    return said + (fs::exists(volume / ".") && mounted_volumes().empty() ? "" : " mounted");
  });
  CHECK(seen == "waits created removed two gone");
}
