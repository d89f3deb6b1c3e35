// SPDX-License-Identifier: Apache-2.0
#include "lib/base/process.hpp"

#include <sstream>
#include <string>

#include "lib/base/error.hpp"
#include "lib/base/files.hpp"

namespace husk {

std::optional<ProcessIdentity> identify_process(pid_t pid) {
  if (pid <= 0) return std::nullopt;
  std::string stat;
  try {
    stat = read_file("/proc/" + std::to_string(pid) + "/stat", 4096);
  } catch (const Error&) {
    return std::nullopt;  // gone, perhaps between open and read (ESRCH)
  }
  // proc(5): "pid (comm) state ppid ...": comm may hold anything, so count from its last ')'.
  const std::size_t end = stat.rfind(')');
  if (end == std::string::npos) return std::nullopt;
  std::istringstream fields(stat.substr(end + 1));
  std::string state, skipped;
  fields >> state;
  if (state == "Z" || state == "X" || state == "x") return std::nullopt;
  for (int field = 4; field < 22; ++field) fields >> skipped;
  ProcessIdentity process{.pid = pid};
  if (!(fields >> process.start_time)) return std::nullopt;
  return process;
}

bool is_alive(const ProcessIdentity& process) { return identify_process(process.pid) == process; }

}  // namespace husk
