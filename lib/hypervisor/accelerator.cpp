// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>

#include <fstream>
#include <sstream>
#include <string>

#include "lib/base/unique_fd.hpp"
#include "lib/hypervisor/vm.hpp"

namespace husk::hypervisor {
namespace {

bool cpu_can_virtualize() {
  std::ifstream cpuinfo("/proc/cpuinfo");
  for (std::string line; std::getline(cpuinfo, line);) {
    if (!line.starts_with("flags")) continue;
    std::istringstream flags(line.substr(line.find(':') + 1));
    for (std::string flag; flags >> flag;) {
      if (flag == "vmx" || flag == "svm") return true;
    }
    return false;  // all processors of a host are alike
  }
  return false;
}

}  // namespace

Accelerator detect_accelerator() {
  const UniqueFd kvm{::open("/dev/kvm", O_RDWR | O_CLOEXEC)};
  return kvm && cpu_can_virtualize() ? Accelerator::kvm : Accelerator::tcg;
}

}  // namespace husk::hypervisor
