// SPDX-License-Identifier: Apache-2.0
// Network namespaces for one test, furnished by ip(8); gone with the test. The host's own is never
// touched.
#pragma once

#include <string>

#include "lib/network/contents.hpp"
#include "lib/network/namespace.hpp"

namespace husk::test {

class TestNamespace {
 public:
  TestNamespace();
  const network::NetworkNamespace& get() const { return namespace_; }
  /// "/proc/PID/fd/N", for ip's "netns".
  std::string path() const;

  /// Runs a shell command there; its output. Fails the test if it does.
  std::string run(const std::string& command) const;
  /// Whether it succeeds.
  bool can(const std::string& command) const;
  /// Adds a link by "ip link add ..."; skips the test if this kernel does not have its kind.
  void add_link(const std::string& words) const;

 private:
  network::NetworkNamespace namespace_;
};

const network::Interface& interface_named(const network::NamespaceContents& contents,
                                          const std::string& name);

}  // namespace husk::test
