// SPDX-License-Identifier: Apache-2.0
#include "agent/setup/process_limits.hpp"

#include <linux/ioprio.h>
#include <sched.h>
#include <sys/personality.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <map>
#include <string_view>

#include "lib/base/error.hpp"
#include "lib/base/files.hpp"

namespace husk::agent {
namespace {

/// The value of `name`; throws invalid_argument naming `field`.
template <typename Value>
Value find_value(const std::map<std::string_view, Value>& known, const std::string& name,
                 const char* field) {
  const auto found = known.find(name);
  if (found == known.end()) {
    throw Error(Errc::invalid_argument, std::string(field) + ": unknown value " + name);
  }
  return found->second;
}

const std::map<std::string_view, __rlimit_resource> resources{
    {"RLIMIT_AS", RLIMIT_AS},
    {"RLIMIT_CORE", RLIMIT_CORE},
    {"RLIMIT_CPU", RLIMIT_CPU},
    {"RLIMIT_DATA", RLIMIT_DATA},
    {"RLIMIT_FSIZE", RLIMIT_FSIZE},
    {"RLIMIT_LOCKS", RLIMIT_LOCKS},
    {"RLIMIT_MEMLOCK", RLIMIT_MEMLOCK},
    {"RLIMIT_MSGQUEUE", RLIMIT_MSGQUEUE},
    {"RLIMIT_NICE", RLIMIT_NICE},
    {"RLIMIT_NOFILE", RLIMIT_NOFILE},
    {"RLIMIT_NPROC", RLIMIT_NPROC},
    {"RLIMIT_RSS", RLIMIT_RSS},
    {"RLIMIT_RTPRIO", RLIMIT_RTPRIO},
    {"RLIMIT_RTTIME", RLIMIT_RTTIME},
    {"RLIMIT_SIGPENDING", RLIMIT_SIGPENDING},
    {"RLIMIT_STACK", RLIMIT_STACK}};

const std::map<std::string_view, std::uint32_t> policies{
    {"SCHED_OTHER", 0}, {"SCHED_FIFO", 1}, {"SCHED_RR", 2},      {"SCHED_BATCH", 3},
    {"SCHED_ISO", 4},   {"SCHED_IDLE", 5}, {"SCHED_DEADLINE", 6}};

const std::map<std::string_view, std::uint64_t> scheduler_flags{{"SCHED_FLAG_RESET_ON_FORK", 0x01},
                                                                {"SCHED_FLAG_RECLAIM", 0x02},
                                                                {"SCHED_FLAG_DL_OVERRUN", 0x04},
                                                                {"SCHED_FLAG_KEEP_POLICY", 0x08},
                                                                {"SCHED_FLAG_KEEP_PARAMS", 0x10}};

struct SchedulerAttributes {  ///< struct sched_attr of sched_setattr(2); glibc 2.36 has none
  std::uint32_t size = 48;    ///< the first version, without utilisation clamps
  std::uint32_t policy = 0;
  std::uint64_t flags = 0;
  std::int32_t nice = 0;
  std::uint32_t priority = 0;
  std::uint64_t runtime = 0, deadline = 0, period = 0;
};

}  // namespace

void apply_rlimits(pid_t pid, const std::vector<oci::Rlimit>& rlimits) {
  for (const oci::Rlimit& rlimit : rlimits) {
    const struct rlimit64 limit { rlimit.soft, rlimit.hard };
    const auto resource = find_value(resources, rlimit.type, "process.rlimits");
    check_sys(::prlimit64(pid, resource, &limit, nullptr), "set " + rlimit.type);
  }
}

void apply_oom_score_adj(pid_t pid, int value) {
  write_existing("/proc/" + std::to_string(pid) + "/oom_score_adj", std::to_string(value));
}

void apply_scheduler(const oci::Scheduler& scheduler) {
  SchedulerAttributes attributes;
  attributes.policy = find_value(policies, scheduler.policy, "process.scheduler.policy");
  attributes.nice = scheduler.nice;
  attributes.priority = static_cast<std::uint32_t>(scheduler.priority);
  attributes.runtime = scheduler.runtime;
  attributes.deadline = scheduler.deadline;
  attributes.period = scheduler.period;
  for (const std::string& flag : scheduler.flags) {
    attributes.flags |= find_value(scheduler_flags, flag, "process.scheduler.flags");
  }
  check_sys(::syscall(SYS_sched_setattr, 0, &attributes, 0), "set scheduler");
}

void apply_io_priority(const oci::IoPriority& priority) {
  static const std::map<std::string_view, int> classes{{"IOPRIO_CLASS_RT", IOPRIO_CLASS_RT},
                                                       {"IOPRIO_CLASS_BE", IOPRIO_CLASS_BE},
                                                       {"IOPRIO_CLASS_IDLE", IOPRIO_CLASS_IDLE}};
  const int io_class = find_value(classes, priority.io_class, "process.ioPriority.class");
  const int value = io_class << IOPRIO_CLASS_SHIFT | (priority.priority & 7);
  check_sys(::syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, value), "set io priority");
}

void apply_personality(const oci::Personality& personality) {
  static const std::map<std::string_view, unsigned long> domains{{"LINUX", PER_LINUX},
                                                                 {"LINUX32", PER_LINUX32}};
  if (!personality.flags.empty()) {
    throw Error(Errc::unsupported, "linux.personality.flags is not supported");
  }
  check_sys(::personality(find_value(domains, personality.domain, "linux.personality.domain")),
            "set personality");
}

}  // namespace husk::agent
