// SPDX-License-Identifier: Apache-2.0
#include "lib/runtime/plan/exec_process.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include "lib/base/error.hpp"
#include "lib/runtime/caller/terminal.hpp"

using namespace husk;
using namespace husk::runtime;
using Catch::Matchers::ContainsSubstring;
using Strings = std::vector<std::string>;

namespace {

oci::Process first() {
  oci::Process process;
  process.args = {"server"};
  process.cwd = "/srv";
  process.env = {"A=1", "B=2"};
  process.user.uid = 5;
  process.user.gid = 6;
  process.terminal = true;
  process.console_size = oci::ConsoleSize{10, 20};
  return process;
}

}  // namespace

TEST_CASE("plan_exec_process: is the container's but for what is asked for", "[runtime]") {
  ExecChanges changes;
  changes.args = {"ls", "-l"};
  oci::Process process = plan_exec_process(first(), changes);
  CHECK(process.args == Strings{"ls", "-l"});
  CHECK(process.cwd == "/srv");
  CHECK(process.env == Strings{"A=1", "B=2"});
  CHECK(process.user.uid == 5);
  CHECK_FALSE(process.terminal);
  CHECK_FALSE(process.console_size);
  CHECK_FALSE(process.capabilities);
  changes.env = {"B=3"};
  changes.cwd = "/tmp";
  changes.additional_gids = {7, 8};
  changes.capabilities = {"CAP_KILL"};
  changes.terminal = changes.no_new_privileges = true;
  process = plan_exec_process(first(), changes);
  CHECK(process.env == Strings{"A=1", "B=2", "B=3"});
  CHECK(process.cwd == "/tmp");
  CHECK(process.user.additional_gids == std::vector<std::uint32_t>{7, 8});
  REQUIRE(process.capabilities);
  CHECK(process.capabilities->bounding == Strings{"CAP_KILL"});
  CHECK(process.capabilities->effective == Strings{"CAP_KILL"});
  CHECK(process.capabilities->inheritable.empty());
  CHECK(process.terminal);
  CHECK(process.no_new_privileges);
}

TEST_CASE("plan_exec_process: a user is a number, or two", "[runtime]") {
  ExecChanges changes;
  changes.user = "1000";
  CHECK(plan_exec_process(first(), changes).user.uid == 1000);
  CHECK(plan_exec_process(first(), changes).user.gid == 6);
  changes.user = "1000:1001";
  CHECK(plan_exec_process(first(), changes).user.gid == 1001);
  for (const char* bad : {"root", "1:", ":1", "1:2:3", "-1", "4294967296", ""}) {
    CAPTURE(bad);
    changes.user = bad;
    CHECK_THROWS_WITH(plan_exec_process(first(), changes), ContainsSubstring("UID[:GID]"));
  }
}

TEST_CASE("plan_window: the process's wish, else the caller's terminal", "[runtime]") {
  CHECK(plan_window(first(), {1, 2}) == guestcomm::WindowSize{10, 20});
  oci::Process process = first();
  process.console_size.reset();
  CHECK(plan_window(process, {1, 2}) == guestcomm::WindowSize{1, 2});
  process.terminal = false;
  CHECK_FALSE(plan_window(process, {1, 2}));
}
