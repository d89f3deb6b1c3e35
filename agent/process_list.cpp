// SPDX-License-Identifier: Apache-2.0
#include "agent/process_list.hpp"

#include <unistd.h>

#include <algorithm>
#include <map>
#include <sstream>

#include "lib/base/error.hpp"
#include "lib/base/files.hpp"

namespace husk::agent {
namespace {

constexpr std::size_t max_processes = 300;
constexpr std::size_t max_command_bytes = 120;
constexpr std::size_t max_file_bytes = 1u << 20;

struct Seen {
  pid_t parent = 0;  ///< as the agent sees it
  guestcomm::ListedProcess listed;
};

/// proc_pid_status(5). Of NSpid the last number is the innermost namespace's: the container's.
void read_status(const std::string& directory, Seen& seen) {
  std::istringstream lines(read_file(directory + "/status", max_file_bytes));
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string name;
    words >> name;
    if (name == "PPid:") words >> seen.parent;
    if (name == "Uid:") words >> seen.listed.uid;
    if (name != "NSpid:") continue;
    for (int pid = 0; words >> pid;) seen.listed.pid = pid;
  }
}

/// proc_pid_stat(5), fields 2, 14 and 15; the command's name is in brackets and may hold anything.
std::string read_times(const std::string& directory, Seen& seen) {
  const std::string text = read_file(directory + "/stat", max_file_bytes);
  const std::size_t begin = text.find('('), end = text.rfind(')');
  if (begin == std::string::npos || end == std::string::npos || end < begin)
    throw Error(Errc::internal, directory + "/stat is not as expected");
  std::istringstream fields(text.substr(end + 1));
  std::string skipped;
  for (int field = 3; field < 14; ++field) fields >> skipped;
  std::uint64_t user = 0, system = 0;
  fields >> user >> system;
  seen.listed.cpu_ms = (user + system) * 1000 / static_cast<std::uint64_t>(::sysconf(_SC_CLK_TCK));
  return text.substr(begin + 1, end - begin - 1);
}

std::string read_command(const std::string& directory, const std::string& name) {
  std::string line = read_file(directory + "/cmdline", max_file_bytes);
  while (!line.empty() && line.back() == '\0') line.pop_back();
  std::replace(line.begin(), line.end(), '\0', ' ');
  if (line.empty()) line = "[" + name + "]";
  return line.substr(0, max_command_bytes);
}

Seen look_at(pid_t pid) {
  const std::string directory = "/proc/" + std::to_string(pid);
  Seen seen;
  read_status(directory, seen);
  seen.listed.command = read_command(directory, read_times(directory, seen));
  return seen;
}

}  // namespace

guestcomm::ProcessList describe_processes(const std::vector<pid_t>& pids) {
  std::map<pid_t, Seen> all;
  guestcomm::ProcessList list;
  for (const pid_t pid : pids) {
    list.is_cut = all.size() == max_processes;
    if (list.is_cut) break;
    try {
      all.emplace(pid, look_at(pid));
    } catch (const Error&) {
      continue;  // it ended
    }
  }
  for (auto& [pid, seen] : all) {
    const auto parent = all.find(seen.parent);
    seen.listed.parent = parent == all.end() ? 0 : parent->second.listed.pid;
    list.processes.push_back(std::move(seen.listed));
  }
  return list;
}

}  // namespace husk::agent
