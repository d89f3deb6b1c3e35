// SPDX-License-Identifier: Apache-2.0
// For tests: a network namespace of the thread's own, with veth links that stand for the guest's cards.
#pragma once

#include <fcntl.h>
#include <net/if.h>
#include <sched.h>

#include <catch2/catch_test_macros.hpp>
#include <chrono>
#include <map>
#include <string>
#include <vector>

#include "agent/network/cards.hpp"
#include "agent/network/links.hpp"
#include "lib/base/error.hpp"
#include "lib/base/files.hpp"
#include "lib/base/subprocess.hpp"

namespace husk::test {

/// Runs ip(8), by a shell; returns what it writes.
inline std::string ip(const std::string& arguments) {
  Subprocess shell;
  shell.program = "/bin/sh";
  shell.arguments = {"-c", "ip " + arguments};
  shell.timeout = std::chrono::seconds{20};
  const SubprocessResult result = run_subprocess(shell);
  INFO("ip " << arguments << ": " << result.output);
  REQUIRE(result.status == 0);
  return result.output;
}

/// A parameter below /proc/sys/net.
inline std::string sysctl(const std::string& name) {
  return read_file("/proc/sys/net/" + name, 4096);
}

/// This thread's, until its end.
class OwnNetwork {
 public:
  OwnNetwork()
      : before_(check_sys(::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC), "open")) {
    check_sys(::unshare(CLONE_NEWNET), "unshare");
    ip("link set lo up");
  }
  OwnNetwork(const OwnNetwork&) = delete;
  OwnNetwork& operator=(const OwnNetwork&) = delete;
  ~OwnNetwork() { ::setns(before_.get(), CLONE_NEWNET); }

 private:
  UniqueFd before_;
};

/// Half of a veth pair each; a card's device is told by its link's index, which stays.
class VethCards : public agent::Cards {
 public:
  void add(const std::string& name, const std::string& device) {
    const std::string other = "peer-" + name;
    ip("link add name " + name + " type veth peer name " + other);
    ip("link set " + other + " addrgenmode none up");
    devices_[static_cast<int>(::if_nametoindex(name.c_str()))] = device;
  }
  std::vector<agent::Card> list() override {
    std::vector<agent::Card> cards;
    for (const agent::Link& link : agent::load_links(agent::NetlinkSocket{}))
      if (devices_.contains(link.index))
        cards.push_back({link.index, link.name, devices_[link.index]});
    return cards;
  }
  void remove(const agent::Card& card) override { ip("link del " + card.name); }
  void rescan() override {}

 private:
  std::map<int, std::string> devices_;
};

}  // namespace husk::test
