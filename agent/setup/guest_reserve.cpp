// SPDX-License-Identifier: Apache-2.0
#include "agent/setup/guest_reserve.hpp"

#include <algorithm>
#include <sstream>

#include "lib/base/error.hpp"
#include "lib/base/files.hpp"

namespace husk::agent {
namespace {

constexpr std::uint64_t mib = 1u << 20;
/// The agent needs a few MiB, and the kernel some for sockets and page tables that no cgroup pays for.
constexpr std::uint64_t least_memory_reserve = 8 * mib, most_memory_reserve = 32 * mib;
/// The agent starts a child for each request at most; the kernel adds workers while it is busy.
constexpr std::uint64_t least_task_reserve = 64, most_task_reserve = 256;
/// The least that a process takes of the guest, most of which its cgroup pays for: more of them would need more than a
/// third of the memory, and what no cgroup pays for more than the reserve.
constexpr std::uint64_t memory_of_task = 256u << 10;
constexpr std::size_t max_reserve_file_bytes = 64u << 10;

std::uint64_t share_of(std::uint64_t free, std::uint64_t reserve) {
  return std::max(free / 2, free - std::min(free, reserve));
}

std::uint64_t first_number(const std::string& text, const char* file) {
  std::istringstream words(text);
  std::uint64_t number = 0;
  if (!(words >> number))
    throw Error(Errc::invalid_argument, std::string(file) + ": does not begin with a number");
  return number;
}

/// A line "NAME:   NUMBER kB".
std::uint64_t meminfo_bytes(const std::string& text, const std::string& name) {
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with(name + ":"))
      return first_number(line.substr(name.size() + 1), "/proc/meminfo") * 1024;
  }
  throw Error(Errc::invalid_argument, "/proc/meminfo: no " + name);
}

/// "0.20 0.18 0.12 1/80 11206": the number after the slash, proc_loadavg(5).
std::uint64_t task_count(const std::string& text) {
  const std::size_t slash = text.find('/');
  return first_number(slash == std::string::npos ? "" : text.substr(slash + 1), "/proc/loadavg");
}

}  // namespace

ContainerShare plan_container_share(const GuestCapacity& capacity) {
  const std::uint64_t memory_reserve =
      std::clamp(capacity.memory_total / 32, least_memory_reserve, most_memory_reserve);
  const std::uint64_t task_reserve =
      std::clamp(capacity.tasks_max / 16, least_task_reserve, most_task_reserve);
  const std::uint64_t free_tasks =
      capacity.tasks_max - std::min(capacity.tasks_max, capacity.tasks);
  return {share_of(capacity.memory_available, memory_reserve),
          std::min(share_of(free_tasks, task_reserve), capacity.memory_total / memory_of_task)};
}

GuestCapacity parse_guest_capacity(const std::string& meminfo, const std::string& loadavg,
                                   const std::string& threads_max, const std::string& pid_max) {
  return {.memory_total = meminfo_bytes(meminfo, "MemTotal"),
          .memory_available = meminfo_bytes(meminfo, "MemAvailable"),
          .tasks_max = std::min(first_number(threads_max, "/proc/sys/kernel/threads-max"),
                                first_number(pid_max, "/proc/sys/kernel/pid_max")),
          .tasks = task_count(loadavg)};
}

GuestCapacity load_guest_capacity(const std::filesystem::path& proc) {
  const auto read = [&](const char* path) {
    return read_file(proc / path, max_reserve_file_bytes);
  };
  return parse_guest_capacity(read("meminfo"), read("loadavg"), read("sys/kernel/threads-max"),
                              read("sys/kernel/pid_max"));
}

void apply_container_share(const ContainerShare& share, const std::filesystem::path& parent) {
  write_existing(parent / "memory.max", std::to_string(share.memory_max));
  write_existing(parent / "pids.max", std::to_string(share.pids_max));
}

}  // namespace husk::agent
