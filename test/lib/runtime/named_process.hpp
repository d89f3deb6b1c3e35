// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <string>

namespace husk::test {

/// A process that looks like the hypervisor's of that name, with the pid file that libvirt writes. For
/// a /run of the test's own.
class NamedProcess {
 public:
  explicit NamedProcess(const std::string& name);
  NamedProcess(const NamedProcess&) = delete;
  NamedProcess& operator=(const NamedProcess&) = delete;
  ~NamedProcess();
  bool runs() const;

 private:
  std::filesystem::path pid_file_;
  pid_t pid_;
};

}  // namespace husk::test
