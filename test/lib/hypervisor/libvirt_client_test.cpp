// SPDX-License-Identifier: Apache-2.0
// husk as libvirt's client, against the driver that libvirt has for tests: no daemon, no VM.
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <csignal>
#include <functional>
#include <string>

#include "lib/base/cancellation.hpp"
#include "lib/base/error.hpp"
#include "lib/base/unique_fd.hpp"
#include "lib/base/unix_address.hpp"
#include "lib/hypervisor/vm.hpp"
#include "test/lib/base/child.hpp"
#include "test/lib/base/scratch.hpp"

/// LeakSanitizer crashes ("Tracer caught signal 11") while it reads its table of the thread-local storage of libraries that
/// were loaded by dlopen(3), as libvirt is. The option has it keep no such table; leaks are found as before.
extern "C" const char* __asan_default_options();
extern "C" const char* __asan_default_options() { return "intercept_tls_get_addr=0"; }

using namespace husk;
using namespace husk::hypervisor;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::StartsWith;

namespace {

/// Has one domain, "test", which runs; each connection's is its own.
const HypervisorOptions test_driver{.uri = "test:///default"};

Error error_of(const std::function<void()>& asking) {
  try {
    asking();
  } catch (const Error& error) {
    return error;
  }
  return {Errc::internal, "nothing was thrown"};
}

VmConfig unique_config() {
  VmConfig config;
  config.name = "husk-test-" + std::to_string(::getpid());
  config.console_log = "/nonexistent/console.log";
  return config;
}

/// Nothing that the process made is left of it, not even to be waited for.
bool has_no_child() { return ::waitpid(-1, nullptr, WNOHANG) == -1 && errno == ECHILD; }

}  // namespace

TEST_CASE("libvirt client: to end a VM that libvirt does not know is fine", "[hypervisor]") {
  const ConnectHypervisor connect = GENERATE(connect_libvirt, bounded_libvirt);
  const auto hypervisor = connect(test_driver);
  CHECK_NOTHROW(hypervisor->destroy("husk-test-none"));
  CHECK_NOTHROW(hypervisor->destroy("test"));
  CHECK(has_no_child());
}

TEST_CASE("libvirt client: a card for a VM that libvirt does not know names the VM",
          "[hypervisor]") {
  const NetworkCard card = network_card("0a1b2c3d", 0);
  bool is_placed = false;
  const auto place = [&] { is_placed = true; };
  const auto direct = connect_libvirt(test_driver), bounded = bounded_libvirt(test_driver);
  const Error error = error_of([&] { direct->attach("husk-test-none", card, place); });
  CHECK(error.code() == Errc::not_found);
  CHECK(std::string(error.what()) == "libvirt does not know VM husk-test-none");
  const Error told = error_of([&] { bounded->attach("husk-test-none", card, place); });
  CHECK(told.code() == Errc::not_found);
  CHECK(std::string(told.what()) ==
        "attach network card 06:0a:1b:2c:3d:00 to VM husk-test-none: libvirt does not know VM "
        "husk-test-none");
  // The test driver has no attaching: a card that is not there is not placed.
  CHECK(error_of([&] { direct->attach("test", card, place); }).code() == Errc::system);
  CHECK_FALSE(is_placed);
  CHECK(error_of([&] { direct->attach("test", {.mac = card.mac, .tap = "a/b"}, place); }).code() ==
        Errc::invalid_argument);
}

TEST_CASE("libvirt client: what libvirt refuses to start is an error in its words",
          "[hypervisor]") {
  VmConfig config = unique_config();
  config.shape.vcpus = config.shape.max_vcpus = 0;
  const auto direct = connect_libvirt(test_driver), bounded = bounded_libvirt(test_driver);
  const Error error = error_of([&] { direct->start(config); });
  CHECK(error.code() == Errc::system);
  CHECK_THAT(error.what(), StartsWith("libvirt: "));
  CHECK(std::string(error_of([&] { bounded->start(config); }).what()) == error.what());
  config.description = "a\nb";
  CHECK(error_of([&] { bounded->start(config); }).code() == Errc::invalid_argument);
  CHECK(has_no_child());
}

TEST_CASE("libvirt client: a VM without a process is ended, in words that say so", "[hypervisor]") {
  // Nobody writes a pid file, as where QEMU exits before it is looked for.
  VmConfig config = unique_config();
  bool is_shown = false;
  config.show_files = [&](int) { is_shown = true; };
  const auto direct = connect_libvirt(test_driver), bounded = bounded_libvirt(test_driver);
  for (int n = 0; n < 2; ++n) {  // the name is free again
    const Error error = error_of([&] { direct->start(config); });
    CHECK(error.code() == Errc::peer_lost);
    CHECK(std::string(error.what()) == "the VM exited immediately");
  }
  CHECK(std::string(error_of([&] { bounded->start(config); }).what()) ==
        "the VM exited immediately");
  CHECK_FALSE(is_shown);  // for the daemon of this host alone
}

TEST_CASE("libvirt client: an error has no phrase that callers take for the container's command",
          "[hypervisor]") {
  const test::Scratch scratch;
  const std::string uri = "qemu+unix:///system?socket=" + (scratch.path() / "none").string();
  const Error error = error_of([&] { connect_libvirt({.uri = uri}); });
  CHECK(error.code() == Errc::system);
  CHECK_THAT(error.what(), StartsWith("connect to libvirt at " + uri + ": "));
  CHECK_THAT(error.what(), ContainsSubstring("Not found"));
  CHECK_THAT(error.what(), !ContainsSubstring("o such file"));
  const auto bounded = bounded_libvirt({.uri = uri});  // connects when it is asked
  const Error told = error_of([&] { bounded->destroy("husk-test-none"); });
  CHECK(told.code() == Errc::system);
  CHECK(std::string(told.what()) == std::string("end VM husk-test-none: ") + error.what());
}

TEST_CASE("libvirt client: a signal ends the waiting for a daemon that stands still",
          "[hypervisor]") {
  const test::Scratch scratch;
  const std::string path = (scratch.path() / "s").string();
  const UniqueFd daemon(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const sockaddr_un name = unix_address(path);
  REQUIRE(::bind(daemon.get(), reinterpret_cast<const sockaddr*>(&name), sizeof name) == 0);
  REQUIRE(::listen(daemon.get(), 8) == 0);  // connections succeed, and get no answer
  // In a child, as the signals stay blocked.
  CHECK(test::thrown_in_child([&] {
          const Cancellation cancellation;
          const auto bounded = bounded_libvirt({.uri = "qemu+unix:///system?socket=" + path});
          ::raise(SIGTERM);
          const Error error = error_of([&] { bounded->destroy("husk-test-none"); });
          test::expect(error.sys_errno() == ECANCELED, error.what());
          test::expect(
              std::string(error.what()) == "end VM husk-test-none: interrupted by signal 15",
              error.what());
          test::expect(has_no_child(), "the process that asks libvirt is left");
        }) == "");
}
