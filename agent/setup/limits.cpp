// SPDX-License-Identifier: Apache-2.0
#include "agent/setup/limits.hpp"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <sstream>

#include "lib/base/cpu_weight.hpp"
#include "lib/base/error.hpp"
#include "lib/base/files.hpp"
#include "lib/base/text.hpp"

namespace husk::agent {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t max_limit_file_bytes = 1u << 16;
constexpr const char* no_limit = "max";

[[noreturn]] void refuse(const std::string& field, const std::string& why) {
  throw Error(Errc::invalid_argument, "linux.resources." + field + ": " + why);
}

/// 0 says nothing, as in runc; what is negative says that there is none.
bool says_something(const std::optional<std::int64_t>& limit) { return limit.value_or(0) != 0; }
std::string limit_text(std::int64_t limit) { return limit < 0 ? no_limit : std::to_string(limit); }

std::string read_now(const fs::path& file) {
  std::string text = read_file(file, max_limit_file_bytes);
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return text;
}

/// -1: none.
std::int64_t limit_now(const fs::path& file) {
  const std::string text = read_now(file);
  std::int64_t limit = -1;
  if (text != no_limit) std::istringstream(text) >> limit;
  return limit;
}

/// The text for a limit in the meaning of version 1, where swap counts memory as well. 0: none is set.
std::string swap_text(const oci::MemoryLimits& memory, const fs::path& cgroup) {
  const std::int64_t swap = memory.swap.value_or(0);
  if (swap == 0) return memory.limit.value_or(0) < 0 ? no_limit : "";
  if (swap < 0) return no_limit;
  const std::int64_t limit =
      says_something(memory.limit) ? *memory.limit : limit_now(cgroup / "memory.max");
  if (limit < 0) refuse("memory.swap", "needs a memory limit");
  if (swap < limit) refuse("memory.swap", "is less than the memory limit, which it includes");
  return std::to_string(swap - limit);
}

void check_use(const oci::MemoryLimits& memory, const fs::path& cgroup) {
  if (!memory.check_before_update.value_or(false) || memory.limit.value_or(0) <= 0) return;
  const std::int64_t used = limit_now(cgroup / "memory.current");
  if (used > *memory.limit) {
    refuse("memory.limit", "unable to set memory limit to " + std::to_string(*memory.limit) +
                               " (current usage: " + std::to_string(used) + ")");
  }
}

void add_memory(std::vector<CgroupSetting>& to, const oci::MemoryLimits& memory,
                const fs::path& cgroup) {
  check_use(memory, cgroup);
  // A guest has a swap limit only if its kernel was built with it, and no swap in any case.
  const std::string swap = swap_text(memory, cgroup);
  if (!swap.empty() && fs::exists(cgroup / "memory.swap.max"))
    to.push_back({"memory.swap.max", swap});
  if (says_something(memory.limit)) to.push_back({"memory.max", limit_text(*memory.limit)});
  if (says_something(memory.reservation))
    to.push_back({"memory.low", limit_text(*memory.reservation)});
}

/// "QUOTA PERIOD", of which one may stay.
std::string cpu_max(const oci::CpuLimits& cpu, const fs::path& cgroup) {
  std::istringstream now(read_now(cgroup / "cpu.max"));
  std::string quota, period;
  now >> quota >> period;
  if (says_something(cpu.quota)) quota = limit_text(*cpu.quota);
  if (cpu.period.value_or(0) != 0) period = std::to_string(*cpu.period);
  return quota + " " + period;
}

void add_cpu(std::vector<CgroupSetting>& to, const oci::CpuLimits& cpu, const fs::path& cgroup) {
  if (cpu.idle) to.push_back({"cpu.idle", std::to_string(*cpu.idle)});
  // A group that is idle has no weight to set.
  if (cpu.shares.value_or(0) != 0 && cpu.idle.value_or(0) == 0)
    to.push_back({"cpu.weight", std::to_string(cpu_weight_of(*cpu.shares))});
  const bool has_quota = says_something(cpu.quota) || cpu.period.value_or(0) != 0;
  // A quota is never less than its burst, on the way neither.
  const bool burst_first =
      cpu.burst && has_quota && *cpu.burst <= std::stoull(read_now(cgroup / "cpu.max.burst"));
  if (burst_first) to.push_back({"cpu.max.burst", std::to_string(*cpu.burst)});
  if (has_quota) to.push_back({"cpu.max", cpu_max(cpu, cgroup)});
  if (cpu.burst && !burst_first) to.push_back({"cpu.max.burst", std::to_string(*cpu.burst)});
}

void add_unified(std::vector<CgroupSetting>& to, const oci::Resources& resources) {
  for (const auto& [file, value] : resources.unified) {
    // The container could else thaw, move or hide processes that the agent counts on.
    if (file.starts_with("cgroup.") || file.find('/') != std::string::npos)
      refuse("unified", quote(file) + " is not a resource limit");
    to.push_back({file, value});
  }
}

}  // namespace

std::vector<CgroupSetting> cgroup_settings(const oci::Resources& resources,
                                           const fs::path& cgroup) {
  std::vector<CgroupSetting> settings;
  if (resources.memory) add_memory(settings, *resources.memory, cgroup);
  if (resources.cpu) add_cpu(settings, *resources.cpu, cgroup);
  if (says_something(resources.pids_limit))
    settings.push_back({"pids.max", limit_text(*resources.pids_limit)});
  add_unified(settings, resources);
  return settings;
}

void apply_limits(const oci::Resources& resources, const fs::path& cgroup) {
  std::vector<CgroupSetting> before;
  try {
    for (const CgroupSetting& wanted : cgroup_settings(resources, cgroup)) {
      step("linux.resources: " + wanted.file + " " + quote(wanted.value), [&] {
        const fs::path file = cgroup / wanted.file;
        const std::string now = read_now(file);
        write_existing(file, wanted.value);
        before.push_back({wanted.file, now});
      });
    }
  } catch (const Error&) {
    std::for_each(before.rbegin(), before.rend(), [&](const CgroupSetting& old) {
      try {
        write_existing(cgroup / old.file, old.value);
      } catch (const Error&) {
        // A limit that cannot be taken back stays; what is told is why the others did not get theirs.
      }
    });
    throw;
  }
}

}  // namespace husk::agent
