// SPDX-License-Identifier: Apache-2.0
#include "lib/systemd/manager.hpp"

#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <chrono>

#include "lib/base/error.hpp"
#include "test/lib/systemd/fake_manager.hpp"

using namespace husk;
using namespace husk::systemd;
using namespace std::chrono_literals;
using Catch::Matchers::ContainsSubstring;

namespace {

Message stop_call(::sd_bus* bus, const char* unit) {
  Message call = new_call(bus, "StopUnit");
  check_bus(api().append(call.get(), "ss", unit, "replace"), unit);
  return call;
}

Errc code_of(JobWatch& jobs, const std::string& job, std::chrono::microseconds limit) {
  try {
    jobs.wait(job, limit);
  } catch (const Error& e) {
    return e.code();
  }
  return Errc::internal;
}

}  // namespace

TEST_CASE("JobWatch: ends of other jobs are not taken for the job's", "[systemd][root]") {
  if (::geteuid() != 0) SKIP("needs root");
  FakeManager manager;
  manager.add("a.scope", "a");
  manager.add("b.scope", "b");
  const Bus bus = connect_to_manager();
  JobWatch jobs(bus.get());
  BusError error;
  const std::string first = job_of(send_call(bus.get(), stop_call(bus.get(), "a.scope"), error));
  manager.end_jobs_as("timeout");
  const std::string second = job_of(send_call(bus.get(), stop_call(bus.get(), "b.scope"), error));
  CHECK(first != second);
  CHECK(jobs.wait(second, 10s) == "timeout");
  CHECK(jobs.wait(first, 10s) == "done");
}

TEST_CASE("JobWatch: a job that does not end is given up", "[systemd][root]") {
  if (::geteuid() != 0) SKIP("needs root");
  FakeManager manager;
  manager.add("a.scope", "a");
  manager.end_jobs_as("done", JobEnd::never);
  const Bus bus = connect_to_manager();
  JobWatch jobs(bus.get());
  BusError error;
  const std::string job = job_of(send_call(bus.get(), stop_call(bus.get(), "a.scope"), error));
  const auto start = std::chrono::steady_clock::now();
  CHECK(code_of(jobs, job, 200ms) == Errc::timed_out);
  CHECK(std::chrono::steady_clock::now() - start >= 200ms);
  CHECK(code_of(jobs, job, -1ms) == Errc::timed_out);
}

TEST_CASE("JobWatch: systemd's end is an error, not a wait", "[systemd][root]") {
  if (::geteuid() != 0) SKIP("needs root");
  FakeManager manager;
  manager.break_method("GetUnit", {.kind = Fault::Kind::hang_up});
  const Bus bus = connect_to_manager();
  JobWatch jobs(bus.get());
  CHECK_THROWS_AS(find_description(bus.get(), "a.scope"), Error);
  CHECK(code_of(jobs, "/org/freedesktop/systemd1/job/1", 10s) == Errc::system);
}

TEST_CASE("send_call: what went wrong is in the error", "[systemd][root]") {
  if (::geteuid() != 0) SKIP("needs root");
  FakeManager manager;
  const Bus bus = connect_to_manager();
  BusError error;
  SECTION("a refusal, by name and text") {
    CHECK_FALSE(send_call(bus.get(), stop_call(bus.get(), "none.scope"), error));
    CHECK(error.is("org.freedesktop.systemd1.NoSuchUnit"));
    CHECK_FALSE(error.is("org.freedesktop.systemd1.UnitExists"));
    CHECK(error.text() == "Unit none.scope not loaded.");
  }
  SECTION("no answer in time") {
    manager.break_method("StopUnit", {.kind = Fault::Kind::silence});
    CHECK_FALSE(send_call(bus.get(), stop_call(bus.get(), "a.scope"), error, 100ms));
    CHECK_FALSE(error.text().empty());
    CHECK(find_description(bus.get(), "a.scope") == std::nullopt);  // the connection still works
  }
  SECTION("nothing yet") {
    CHECK_FALSE(error.is("org.freedesktop.systemd1.NoSuchUnit"));
    CHECK(error.text() == "no answer");
  }
}

TEST_CASE("find_description: the unit's own, whatever its name", "[systemd][root]") {
  if (::geteuid() != 0) SKIP("needs root");
  FakeManager manager;
  const Bus bus = connect_to_manager();
  for (const char* unit : {"a.scope", "docker-0_1.scope", "a\\x2db:c@d.slice"}) {
    CHECK(find_description(bus.get(), unit) == std::nullopt);
    manager.add(unit, std::string("of ") + unit);
    CHECK(find_description(bus.get(), unit) == std::string("of ") + unit);
  }
  manager.add("empty.scope", "");
  CHECK(find_description(bus.get(), "empty.scope") == "");
}

TEST_CASE("find_description: an answer that is no path is an error", "[systemd][root]") {
  if (::geteuid() != 0) SKIP("needs root");
  FakeManager manager;
  manager.break_method("GetUnit", {.kind = Fault::Kind::wrong_type});
  const Bus bus = connect_to_manager();
  CHECK_THROWS_WITH(find_description(bus.get(), "a.scope"), ContainsSubstring("read the answer"));
}

TEST_CASE("call_on_unit: a refusal is fine", "[systemd][root]") {
  if (::geteuid() != 0) SKIP("needs root");
  FakeManager manager;
  manager.break_method("ResetFailedUnit", {});
  const Bus bus = connect_to_manager();
  CHECK_NOTHROW(call_on_unit(bus.get(), "ResetFailedUnit", "a.scope"));
  CHECK(manager.calls("ResetFailedUnit") == 1);
}

TEST_CASE("PropertyWriter: every type of a property arrives as itself", "[systemd][root]") {
  if (::geteuid() != 0) SKIP("needs root");
  FakeManager manager;
  const Bus bus = connect_to_manager();
  Message call = new_call(bus.get(), "StartTransientUnit");
  check_bus(api().append(call.get(), "ss", "a.scope", "replace"), "unit");
  check_bus(api().open_container(call.get(), 'a', "(sv)"), "properties");
  PropertyWriter writer(call.get());
  writer.add({"Bool", true});
  writer.add({"Int32", std::int32_t{INT32_MIN}});
  writer.add({"UInt32", std::uint32_t{UINT32_MAX}});
  writer.add({"Int64", std::int64_t{INT64_MIN}});
  writer.add({"UInt64", std::uint64_t{UINT64_MAX}});
  writer.add({"Double", 0.25});
  writer.add({"String", std::string("\xc3\xa4 b")});
  writer.add({"None", std::vector<std::string>{}});
  check_bus(api().close_container(call.get()), "properties");
  check_bus(api().append(call.get(), "a(sa(sv))", 0), "auxiliary units");
  BusError error;
  REQUIRE(send_call(bus.get(), call, error));
  CHECK(manager.requests().at(0).properties ==
        std::map<std::string, std::string>{{"Bool", "b true"},
                                           {"Int32", "i -2147483648"},
                                           {"UInt32", "u 4294967295"},
                                           {"Int64", "x -9223372036854775808"},
                                           {"UInt64", "t 18446744073709551615"},
                                           {"Double", "d 0.250000"},
                                           {"String", "s \xc3\xa4 b"},
                                           {"None", "as []"}});
}
