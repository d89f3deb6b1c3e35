// SPDX-License-Identifier: Apache-2.0
#include "agent/container_table.hpp"

#include <catch2/catch_test_macros.hpp>

#include "test/agent/container_bench.hpp"

using namespace husk::agent;
using husk::test::Bench;
using namespace std::chrono_literals;

TEST_CASE("container table: whoever asks to delete a container is answered", "[root]") {
  SKIP_UNLESS_POSSIBLE();
  Bench bench;  // for its root, loop and cgroup
  ContainerTable table(bench.loop, bench.cgroups, [](ConnectionId, const auto&) {});
  std::vector<std::string> answers;
  const auto answer = [&](const char* to) {
    return [&answers, to](const Outcome& outcome) {
      const auto* error = std::get_if<husk::Error>(&outcome);
      answers.push_back(to + std::string(error != nullptr ? error->what() : ""));
    };
  };
  const auto run_until = [&](std::size_t count) {
    for (int i = 0; i < 500 && answers.size() < count; ++i) {
      bench.loop.run_once(10ms);
      table.reap();
    }
  };
  table.create({"one", bench.spec("true"), {}, {}}, answer("created"));
  run_until(1);
  REQUIRE(answers == std::vector<std::string>{"created"});
  table.remove("one", answer("first"));
  table.remove("one", answer("second"));
  run_until(3);
  CHECK(answers == std::vector<std::string>{"created", "first", "second"});
  CHECK_THROWS_AS(table.remove("one", answer("third")), husk::Error);
}
