// SPDX-License-Identifier: Apache-2.0
#include "lib/systemd/service.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include "lib/base/error.hpp"
#include "lib/base/unique_fd.hpp"
#include "test/lib/systemd/fake_manager.hpp"

using namespace husk;
using namespace husk::systemd;
using Catch::Matchers::ContainsSubstring;

namespace {

UniqueFd file_of(const std::string& text) {
  UniqueFd fd{check_sys(::memfd_create("input", MFD_CLOEXEC), "memfd_create")};
  check_sys(::write(fd.get(), text.data(), text.size()), "write");
  return fd;
}

ServicePlan keeper(int input) {
  return {.name = "husk-keeper-1.service",
          .description = "husk keeper of VM 1",
          .command = {"/usr/libexec/husk-keeper", "two words", ""},
          .standard_input = input};
}

}  // namespace

TEST_CASE("start_service: systemd is told the program, and given its input", "[systemd][root]") {
  if (::geteuid() != 0) SKIP("needs root");
  FakeManager manager;
  const UniqueFd input = file_of("the plan");
  start_service(keeper(input.get()));
  REQUIRE(manager.requests().size() == 1);
  StartRequest request = manager.requests()[0];
  CHECK(request.unit == "husk-keeper-1.service");
  CHECK(request.mode == "fail");
  CHECK(request.standard_input == "the plan");
  CHECK(request.properties.erase("StandardInputFileDescriptor") == 1);
  CHECK(request.properties ==
        std::map<std::string, std::string>{
            {"Description", "s husk keeper of VM 1"},
            {"Type", "s exec"},
            {"DefaultDependencies", "b false"},
            {"CollectMode", "s inactive-or-failed"},
            {"StandardOutput", "s null"},
            {"StandardError", "s null"},
            {"ExecStart",
             "a(sasb) [(/usr/libexec/husk-keeper, [/usr/libexec/husk-keeper, two words, ], "
             "false)]"}});
  CHECK(::lseek(input.get(), 0, SEEK_CUR) == 8);  // the caller's descriptor is still open
}

TEST_CASE("start_service: errors go to the journal where that was asked for", "[systemd][root]") {
  if (::geteuid() != 0) SKIP("needs root");
  FakeManager manager;
  const UniqueFd input = file_of("");
  ServicePlan plan = keeper(input.get());
  plan.errors_to_journal = true;
  start_service(plan);
  CHECK(manager.requests().at(0).properties.at("StandardError") == "s journal");
  CHECK(manager.requests().at(0).properties.at("StandardOutput") == "s null");
}

TEST_CASE("start_service: does not wait for the job", "[systemd][root]") {
  if (::geteuid() != 0) SKIP("needs root");
  FakeManager manager;
  manager.end_jobs_as("done", JobEnd::never);
  const UniqueFd input = file_of("");
  CHECK_NOTHROW(start_service(keeper(input.get())));
}

TEST_CASE("start_service: a failure names the unit", "[systemd][root]") {
  if (::geteuid() != 0) SKIP("needs root");
  FakeManager manager;
  const UniqueFd input = file_of("");
  SECTION("the unit exists: another's is not replaced") {
    manager.add("husk-keeper-1.service", "theirs");
    CHECK_THROWS_WITH(start_service(keeper(input.get())),
                      ContainsSubstring("systemd: start unit husk-keeper-1.service: Unit ") &&
                          ContainsSubstring("already loaded"));
    CHECK(manager.units().at("husk-keeper-1.service") == "theirs");
  }
  SECTION("systemd refuses") {
    manager.break_method("StartTransientUnit", {});
    CHECK_THROWS_WITH(start_service(keeper(input.get())),
                      "systemd: start unit husk-keeper-1.service: Access denied");
  }
  SECTION("systemd closes the connection") {
    manager.break_method("StartTransientUnit", {.kind = Fault::Kind::hang_up});
    CHECK_THROWS_WITH(start_service(keeper(input.get())),
                      ContainsSubstring("systemd: start unit husk-keeper-1.service: "));
  }
  SECTION("the input is closed") {
    CHECK_THROWS_WITH(start_service(keeper(-1)), ContainsSubstring("StandardInputFileDescriptor"));
    CHECK(manager.requests().empty());
  }
}
