// SPDX-License-Identifier: Apache-2.0
#include "lib/runtime/vm/host_cost.hpp"

#include <unistd.h>

#include <sstream>
#include <string>

#include "lib/base/error.hpp"
#include "lib/base/files.hpp"

namespace husk::runtime {
namespace {

std::string proc_text(const ProcessIdentity& process, const char* file) {
  constexpr std::size_t max_bytes = 65536;
  try {
    const std::string text =
        read_file("/proc/" + std::to_string(process.pid) + "/" + file, max_bytes);
    return is_alive(process) ? text : std::string();
  } catch (const Error&) {
    return {};  // it has ended
  }
}

/// proc(5), "status": "RssAnon:	    1234 kB".
std::uint64_t bytes_of(const std::string& status, const std::string& name) {
  std::istringstream lines(status);
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with(name + ":")) continue;
    std::uint64_t kib = 0;
    std::istringstream(line.substr(name.size() + 1)) >> kib;
    return kib << 10U;
  }
  return 0;
}

/// proc(5), "stat": fields 14 and 15, of which the first ones may hold anything up to the last ')'.
std::chrono::nanoseconds cpu_time_of(const std::string& stat) {
  const std::size_t end = stat.rfind(')');
  if (end == std::string::npos) return {};
  std::istringstream fields(stat.substr(end + 1));
  std::string skipped;
  for (int field = 3; field < 14; ++field) fields >> skipped;
  std::int64_t user = 0, system = 0;
  fields >> user >> system;
  return std::chrono::nanoseconds((user + system) * (1000000000 / ::sysconf(_SC_CLK_TCK)));
}

void add(HostCost& cost, const ProcessIdentity& process, bool has_guest) {
  const std::string status = proc_text(process, "status");
  cost.memory_bytes += bytes_of(status, "RssAnon");
  // A helper has the guest's memory mapped as well.
  if (has_guest) cost.memory_bytes += bytes_of(status, "RssShmem");
  cost.cpu_time += cpu_time_of(proc_text(process, "stat"));
}

}  // namespace

HostCost find_host_cost(const VmRecord& vm) {
  HostCost cost{.containers = vm.members.size()};
  if (vm.process) add(cost, *vm.process, true);
  for (const ProcessIdentity& helper : vm.helpers) add(cost, helper, false);
  return cost;
}

}  // namespace husk::runtime
