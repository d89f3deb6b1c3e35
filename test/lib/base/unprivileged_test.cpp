// SPDX-License-Identifier: Apache-2.0
// What a process gives up or collects before it serves others: capabilities.hpp, signals.hpp, and the
// loopback of a new network namespace.
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <csignal>
#include <fstream>
#include <string>

#include "lib/base/capabilities.hpp"
#include "lib/base/error.hpp"
#include "lib/base/loopback.hpp"
#include "lib/base/signals.hpp"
#include "test/lib/base/child.hpp"

using namespace husk;

namespace {

/// A mask of /proc/self/status: "CapEff", "CapBnd".
std::string mask(const std::string& name) {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);)
    if (line.starts_with(name + ":")) return line.substr(name.size() + 2);
  return "none";
}

bool is_loopback_up() {
  const UniqueFd socket{check_sys(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), "socket")};
  ifreq request{};
  request.ifr_name[0] = 'l';
  request.ifr_name[1] = 'o';
  check_sys(::ioctl(socket.get(), SIOCGIFFLAGS, &request), "ask for lo");
  return (request.ifr_flags & IFF_UP) != 0;
}

}  // namespace

TEST_CASE("drop_bounding_set, drop_capabilities: none is left", "[base][root]") {
  if (::geteuid() != 0) SKIP("needs root");
  CHECK(test::thrown_in_child([] {
          const std::string none(16, '0');
          drop_bounding_set();
          test::expect(mask("CapBnd") == none, "bounding set");
          test::expect(mask("CapEff") != none, "they are dropped on their own");
          drop_capabilities();
          for (const char* set : {"CapEff", "CapPrm", "CapInh", "CapBnd"})
            test::expect(mask(set) == none, set);
        }) == "");
}

TEST_CASE("drop_bounding_set: without CAP_SETPCAP an error", "[base][root]") {
  if (::geteuid() != 0) SKIP("needs root");
  CHECK(test::thrown_in_child([] {
          drop_capabilities();
          drop_bounding_set();
        }) == "drop a bounding capability: operation not permitted");
}

TEST_CASE("bring_loopback_up: of the thread's own namespace", "[base][root]") {
  if (::geteuid() != 0) SKIP("needs root");
  CHECK(test::thrown_in_child([] {
          check_sys(::unshare(CLONE_NEWNET), "unshare the network");
          test::expect(!is_loopback_up(), "up from the start");
          for (int round = 0; round < 2; ++round) {
            bring_loopback_up();
            test::expect(is_loopback_up(), "not up");
          }
        }) == "");
}

TEST_CASE("collect_signals: a signal is read, and does nothing else", "[base]") {
  CHECK(test::thrown_in_child([] {
          const UniqueFd signals = collect_signals();
          for (const int signal : {SIGTERM, SIGHUP, SIGUSR1, SIGCHLD, SIGRTMAX}) {
            ::raise(signal);
            signalfd_siginfo info{};
            test::expect(::read(signals.get(), &info, sizeof info) == sizeof info, "not read");
            test::expect(static_cast<int>(info.ssi_signo) == signal, "another signal");
          }
        }) == "");
}
