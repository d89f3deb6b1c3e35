// SPDX-License-Identifier: Apache-2.0
#include "agent/container/process_list.hpp"

#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <map>
#include <memory>
#include <sstream>
#include <string>
#include <string_view>

#include "agent/loop/helper_process.hpp"
#include "lib/base/error.hpp"
#include "lib/base/files.hpp"

namespace husk::agent {
namespace {

constexpr std::size_t max_processes = 300;
constexpr std::size_t max_command_bytes = 120;
constexpr std::size_t max_proc_file_bytes = 1u << 20;
constexpr std::chrono::seconds command_patience{1};

struct Seen {
  pid_t parent = 0;  ///< as the agent sees it
  guestcomm::ListedProcess listed;
};

/// proc_pid_status(5). Of NSpid the last number is the innermost namespace's: the container's.
void read_status(const std::string& directory, Seen& seen) {
  std::istringstream lines(read_file(directory + "/status", max_proc_file_bytes));
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
  const std::string text = read_file(directory + "/stat", max_proc_file_bytes);
  const std::size_t begin = text.find('('), end = text.rfind(')');
  if (begin == std::string::npos || end == std::string::npos || end < begin)
    throw Error(Errc::internal, directory + "/stat: unexpected format");
  std::istringstream fields(text.substr(end + 1));
  std::string skipped;
  for (int field = 3; field < 14; ++field) fields >> skipped;
  std::uint64_t user = 0, system = 0;
  fields >> user >> system;
  seen.listed.cpu_ms = (user + system) * 1000 / static_cast<std::uint64_t>(::sysconf(_SC_CLK_TCK));
  return text.substr(begin + 1, end - begin - 1);
}

/// proc_pid_cmdline(5), on one line. The kernel reads it in the memory of the process, whose lock
/// a thread may hold that maps a file of a server that never answers: in a helper only.
std::string read_command(pid_t pid) {
  std::string line = read_file("/proc/" + std::to_string(pid) + "/cmdline", max_proc_file_bytes);
  while (!line.empty() && line.back() == '\0') line.pop_back();
  std::replace(line.begin(), line.end(), '\0', ' ');
  return line.substr(0, max_command_bytes);
}

/// None of it is in the memory of the process.
Seen look_at(pid_t pid) {
  const std::string directory = "/proc/" + std::to_string(pid);
  Seen seen;
  read_status(directory, seen);
  seen.listed.command = "[" + read_times(directory, seen) + "]";
  return seen;
}

struct Listing {
  std::map<pid_t, Seen> seen;  ///< by pid, as the agent sees it
  bool is_cut = false;
};

Listing look_at_all(const std::vector<pid_t>& pids) {
  Listing listing;
  for (const pid_t pid : pids) {
    listing.is_cut = listing.seen.size() == max_processes;
    if (listing.is_cut) break;
    try {
      listing.seen.emplace(pid, look_at(pid));
    } catch (const Error&) {
      continue;  // it ended
    }
  }
  return listing;
}

/// One after the other as "PID COMMAND" and a null byte, which no command has any more, so that those
/// before one that never answers are told.
void tell_commands(const std::map<pid_t, Seen>& seen, int said) {
  for (const auto& [pid, process] : seen) {
    try {
      std::string record = std::to_string(pid) + " " + read_command(pid);
      record.push_back('\0');
      write_all(said, record);
    } catch (const Error&) {
      continue;  // it ended
    }
  }
}

void take_commands(std::string_view said, std::map<pid_t, Seen>& seen) {
  for (std::size_t end = 0; (end = said.find('\0')) != said.npos; said.remove_prefix(end + 1)) {
    const std::string_view record = said.substr(0, end);
    pid_t pid = 0;
    const char* const last = record.data() + record.size();
    const auto parsed = std::from_chars(record.data(), last, pid);
    const auto found = seen.find(pid);
    if (parsed.ec != std::errc{} || found == seen.end()) continue;
    // Kernel threads and processes that emptied theirs keep their name in brackets.
    const std::string_view command(parsed.ptr, static_cast<std::size_t>(last - parsed.ptr));
    if (command.size() > 1) found->second.listed.command = command.substr(1);
  }
}

guestcomm::ProcessList whole(Listing listing) {
  guestcomm::ProcessList list;
  list.is_cut = listing.is_cut;
  for (auto& [pid, seen] : listing.seen) {
    const auto parent = listing.seen.find(seen.parent);
    seen.listed.parent = parent == listing.seen.end() ? 0 : parent->second.listed.pid;
    list.processes.push_back(std::move(seen.listed));
  }
  return list;
}

}  // namespace

void describe_processes(EventLoop& loop, const std::vector<pid_t>& pids,
                        const std::function<void(const guestcomm::ProcessList&)>& described) {
  const auto listing = std::make_shared<Listing>(look_at_all(pids));
  HelperProcess::run(
      loop, command_patience, [&](int said) { tell_commands(listing->seen, said); },
      [listing, described](const std::string& said, bool) {
        take_commands(said, listing->seen);
        described(whole(std::move(*listing)));
      });
}

}  // namespace husk::agent
