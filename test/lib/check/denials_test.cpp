// SPDX-License-Identifier: Apache-2.0
#include "lib/check/denials.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <chrono>
#include <filesystem>
#include <fstream>

#include "test/lib/base/scratch.hpp"

using namespace husk::check;
using namespace std::chrono_literals;
namespace fs = std::filesystem;

namespace {

const std::string apparmor =
    R"(audit: type=1400 apparmor="DENIED" operation="connect" profile="libvirt-6f" name="/run/husk-vm/x/share.sock")";
const std::string selinux =
    R"(type=AVC msg=audit(1.2:3): avc:  denied  { connectto } for pid=1 comm="qemu-kvm" scontext=system_u:system_r:svirt_t:s0)";

std::string selinux_at(long seconds) {
  std::string line = selinux;
  return line.replace(line.find("1.2:3"), 5, std::to_string(seconds) + ".000:3");
}

}  // namespace

TEST_CASE("check: refusals to QEMU and libvirt are told from those to others") {
  CHECK(is_denial(apparmor));
  CHECK(is_denial(selinux));
  CHECK_FALSE(
      is_denial(R"(apparmor="DENIED" operation="open" profile="snap.firefox" name="/etc/x")"));
  CHECK_FALSE(is_denial(R"(apparmor="ALLOWED" profile="libvirt-6f")"));
  CHECK_FALSE(is_denial(R"(avc: denied { read } for comm="httpd")"));
  CHECK_FALSE(is_denial(""));
}

TEST_CASE("check: a line of a log says how old it is, by either clock") {
  const Moment now{.since_1970 = 1'800'000'000s, .since_boot = 5000s};
  CHECK(find_age("type=AVC msg=audit(1799999940.500:77): avc: denied", now) == 59'500ms);
  // The time of day where a record of the kernel has both: the other clock stands still while the host sleeps.
  CHECK(find_age("5,9,4000000000,-;audit: type=1400 audit(1799999880.000:7): x", now) == 120s);
  CHECK(find_age("5,9,4000000000,-;something", now) == 1000s);
  CHECK(find_age("type=AVC msg=audit(1800000060.000:77): the clock was set back", now) == 0s);
  for (const char* const line :
       {"", "avc: denied", "audit(", "audit(1799999940", "audit(1799999940.5", "audit(-5.1:2)",
        "audit(99999999999999999999.1:2)", "audit(9999999999999999.1:2)", "4,1,x,-;y", "4,1,2"})
    CHECK_FALSE(find_age(line, now));
}

TEST_CASE("check: the newest refusal of the last hour is found, in one plain line") {
  const husk::test::Scratch scratch;
  const fs::path kernel_log = scratch.path() / "kmsg", audit_log = scratch.path() / "audit.log";
  const Moment now{.since_1970 = 1'800'000'000s, .since_boot = 24h};
  std::ofstream(audit_log) << selinux_at(1'800'000'000 - 600) << "\nsomething else\n"
                           << selinux_at(1'800'000'000 - 300) << "\x1b[31m"
                           << std::string(1000, 'x') << "\nthe end\n";
  const auto found = find_recent_denial("/nonexistent", audit_log, now);
  REQUIRE(found);
  CHECK(found->line.starts_with("type=AVC msg=audit(1799999700.000:3): avc:  denied"));
  CHECK(found->line.find('\x1b') == std::string::npos);
  CHECK(found->line.size() <= 320);
  CHECK(found->age == 5min);
  // 150 s ago, by the kernel's clock.
  std::ofstream(kernel_log) << "4,1," << (24 * 3600 - 150) << "000000,-;" << apparmor << "\n";
  const auto newer = find_recent_denial(kernel_log, audit_log, now);
  REQUIRE(newer);
  CHECK_THAT(newer->line, Catch::Matchers::ContainsSubstring("apparmor=\"DENIED\""));
  CHECK(newer->age == 2min);
  fs::remove(audit_log);
  CHECK_FALSE(find_recent_denial("/nonexistent", audit_log, now));
}

TEST_CASE("check: a refusal of before an hour, or of before the last boot, is passed over") {
  const husk::test::Scratch scratch;
  const fs::path log = scratch.path() / "audit.log";
  const Moment now{.since_1970 = 1'800'000'000s, .since_boot = 24h};
  std::ofstream(log) << selinux_at(1'800'000'000 - 3601) << "\n";
  CHECK_FALSE(find_recent_denial("/nonexistent", log, now));
  std::ofstream(log) << selinux_at(1'800'000'000 - 3599) << "\n";
  CHECK(find_recent_denial("/nonexistent", log, now));
  const Moment booted{.since_1970 = now.since_1970, .since_boot = 10min};
  CHECK_FALSE(find_recent_denial("/nonexistent", log, booted));
  std::ofstream(log) << apparmor << "\n";  // without a time
  CHECK_FALSE(find_recent_denial("/nonexistent", log, now));
}

TEST_CASE("check: the host's clocks are those of the logs") {
  const Moment now = find_now();
  CHECK(now.since_1970 > 1'700'000'000s);
  CHECK(now.since_boot > 0s);
  CHECK(now.since_boot < now.since_1970);
}
