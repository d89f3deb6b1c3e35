// SPDX-License-Identifier: Apache-2.0
#include "lib/runtime/host/host_size.hpp"

#include <sys/sysinfo.h>

#include <algorithm>
#include <fstream>
#include <string>

namespace husk::runtime {

std::uint64_t find_memory_mib() {
  std::ifstream meminfo("/proc/meminfo");
  std::uint64_t mib = 0, kib = 0;
  for (std::string name, unit; meminfo >> name >> kib && std::getline(meminfo, unit);) {
    if (name == "MemTotal:" || name == "SwapTotal:") mib += kib / 1024;
  }
  return mib;
}

unsigned find_cpus() { return static_cast<unsigned>(std::max(1, ::get_nprocs())); }

}  // namespace husk::runtime
