// SPDX-License-Identifier: Apache-2.0
#include "lib/check/denials.hpp"

#include <catch2/catch_test_macros.hpp>
#include <filesystem>
#include <fstream>

#include "test/lib/base/scratch.hpp"

using namespace husk::check;

namespace {

const std::string apparmor =
    R"(4,1,2,-;audit: type=1400 apparmor="DENIED" operation="connect" profile="libvirt-6f" name="/run/husk-vm/x/share.sock")";
const std::string selinux =
    R"(type=AVC msg=audit(1.2:3): avc:  denied  { connectto } for pid=1 comm="qemu-kvm" scontext=system_u:system_r:svirt_t:s0)";

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

TEST_CASE("check: the last refusal of a log is found, in one plain line") {
  const husk::test::Scratch scratch;
  const std::filesystem::path log = scratch.path() / "audit.log";
  std::ofstream(log) << selinux << "\nsomething else\n"
                     << apparmor << "\x1b[31m" << std::string(1000, 'x') << "\nthe end\n";
  const std::string found = find_last_denial("/nonexistent", log);
  CHECK(found.starts_with("4,1,2,-;audit: type=1400 apparmor=\"DENIED\""));
  CHECK(found.find('\x1b') == std::string::npos);
  CHECK(found.size() <= 320);
  std::filesystem::remove(log);
  CHECK(find_last_denial("/nonexistent", log).empty());
}
