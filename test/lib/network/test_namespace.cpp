// SPDX-License-Identifier: Apache-2.0
#include "test/lib/network/test_namespace.hpp"

#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <catch2/catch_test_macros.hpp>

#include "lib/base/error.hpp"
#include "lib/base/subprocess.hpp"

namespace husk::test {
namespace {

using network::InNetworkNamespace;
using network::NetworkNamespace;

NetworkNamespace make_namespace() {
  const InNetworkNamespace back(NetworkNamespace::current());  // its end is what counts
  check_sys(::unshare(CLONE_NEWNET), "unshare");
  return NetworkNamespace::current();
}

SubprocessResult run_in(const NetworkNamespace& there, const std::string& command) {
  const InNetworkNamespace inside(there);
  return run_subprocess({.program = "/bin/sh",
                         .arguments = {"-ec", "PATH=$PATH:/usr/sbin:/sbin; " + command},
                         .argv0 = {},
                         .environment = {},
                         .stdin_text = {},
                         .timeout = std::chrono::seconds(10)});
}

}  // namespace

TestNamespace::TestNamespace() : namespace_(make_namespace()) {}

std::string TestNamespace::path() const {
  return "/proc/" + std::to_string(::getpid()) + "/fd/" + std::to_string(namespace_.fd());
}

std::string TestNamespace::run(const std::string& command) const {
  const SubprocessResult result = run_in(namespace_, command);
  INFO(command << ": " << result.output);
  REQUIRE(result.status == 0);
  return result.output;
}

bool TestNamespace::can(const std::string& command) const {
  return run_in(namespace_, command).status == 0;
}

void TestNamespace::add_link(const std::string& words) const {
  const SubprocessResult result = run_in(namespace_, "ip link add " + words);
  if (result.output.find("Unknown device type") != std::string::npos)
    SKIP("this kernel has no such link: " + words);
  INFO(words << ": " << result.output);
  REQUIRE(result.status == 0);
}

const network::Interface& interface_named(const network::NamespaceContents& contents,
                                          const std::string& name) {
  const auto found = std::ranges::find(contents.interfaces, name, &network::Interface::name);
  INFO("interface " << name);
  REQUIRE(found != contents.interfaces.end());
  return *found;
}

}  // namespace husk::test
