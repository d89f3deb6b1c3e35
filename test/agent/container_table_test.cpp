// SPDX-License-Identifier: Apache-2.0
#include "agent/container/container_table.hpp"

#include <catch2/catch_test_macros.hpp>

#include "test/agent/container_bench.hpp"

using namespace husk::agent;
using husk::test::Bench;
using namespace std::chrono_literals;

namespace {

/// A table, and what it answered.
struct TableBench {
  Reply answer(const std::string& to) {
    return [this, to](const Outcome& outcome) {
      const auto* error = std::get_if<husk::Error>(&outcome);
      answers.push_back(to + std::string(error != nullptr ? error->what() : ""));
    };
  }
  void run_until(std::size_t count) {
    for (int i = 0; i < 500 && answers.size() < count; ++i) {
      bench.loop.run_once(10ms);
      table.reap();
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
