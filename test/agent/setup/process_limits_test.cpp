// SPDX-License-Identifier: Apache-2.0
#include "agent/setup/process_limits.hpp"

#include <linux/ioprio.h>
#include <sched.h>
#include <sys/personality.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include <catch2/catch_test_macros.hpp>

#include "test/agent/setup/in_child.hpp"

using namespace husk;
using namespace husk::agent;
using namespace husk::test;

namespace {

std::string limits_after(const std::vector<oci::Rlimit>& wanted, __rlimit_resource resource) {
  return in_child([&] {
    apply_rlimits(0, wanted);
    rlimit got{};
    ::getrlimit(resource, &got);
    return std::to_string(got.rlim_cur) + " " + std::to_string(got.rlim_max);
  });
}

std::string scheduler_after(const oci::Scheduler& scheduler) {
  return in_child([&] {
    apply_scheduler(scheduler);
    sched_param parameters{};
    ::sched_getparam(0, &parameters);
    return std::to_string(::sched_getscheduler(0)) + " " +
           std::to_string(parameters.sched_priority) + " " +
           std::to_string(::getpriority(PRIO_PROCESS, 0));
  });
}

oci::Scheduler scheduler(const std::string& policy, int nice = 0, int priority = 0,
                         std::vector<std::string> flags = {}) {
  oci::Scheduler made;
  made.policy = policy;
  made.nice = nice;
  made.priority = priority;
  made.flags = std::move(flags);
  return made;
}

}  // namespace

TEST_CASE("process limits: each resource has its own limit, and the last word wins", "[root]") {
  SKIP_UNLESS_ROOT();
  CHECK(limits_after({{"RLIMIT_NOFILE", 64, 128}}, RLIMIT_NOFILE) == "64 128");
  CHECK(limits_after({{"RLIMIT_CORE", 9, 9}, {"RLIMIT_CORE", 5, 6}}, RLIMIT_CORE) == "5 6");
  CHECK(limits_after({{"RLIMIT_CPU", 7, UINT64_MAX}}, RLIMIT_CPU) ==
        "7 " + std::to_string(RLIM_INFINITY));
  CHECK(limits_after({{"RLIMIT_STACK", 1u << 20, 2u << 20}}, RLIMIT_STACK) == "1048576 2097152");
  CHECK(limits_after({{"RLIMIT_SIGPENDING", 7, 8}, {"RLIMIT_MSGQUEUE", 1, 2}}, RLIMIT_SIGPENDING) ==
        "7 8");
}

TEST_CASE("process limits: one that is refused is named", "[root]") {
  SKIP_UNLESS_ROOT();
  CHECK(limits_after({{"RLIMIT_NOFILE", 9, 8}}, RLIMIT_NOFILE) ==
        "error: set RLIMIT_NOFILE: invalid argument");
  CHECK(limits_after({{"RLIMIT_NOFILES", 9, 9}}, RLIMIT_NOFILE) ==
        "error: process.rlimits: unknown value RLIMIT_NOFILES");
  CHECK(limits_after({{"", 1, 1}}, RLIMIT_NOFILE) == "error: process.rlimits: unknown value ");
  CHECK_THROWS_AS(apply_rlimits(-1, {{"RLIMIT_NOFILE", 9, 9}}), Error);  // of no process
}

TEST_CASE("process limits: the OOM score is the process's that is named", "[root]") {
  SKIP_UNLESS_ROOT();
  const auto after = [](int value) {
    return in_child([&] {
      apply_oom_score_adj(::getpid(), value);
      return read_file("/proc/self/oom_score_adj", 64);
    });
  };
  CHECK(after(1000) == "1000\n");
  CHECK(after(500) == "500\n");
  CHECK(after(1001).starts_with("error: "));
}

TEST_CASE("process limits: scheduling policies with their nice value or priority", "[root]") {
  SKIP_UNLESS_ROOT();
  CHECK(scheduler_after(scheduler("SCHED_OTHER", 7)) == "0 0 7");
  CHECK(scheduler_after(scheduler("SCHED_BATCH", -3)) == "3 0 -3");
  CHECK(scheduler_after(scheduler("SCHED_IDLE")).starts_with("5 0 "));
  CHECK(scheduler_after(scheduler("SCHED_FIFO", 0, 3)) == "1 3 0");
  CHECK(scheduler_after(scheduler("SCHED_RR", 0, 4, {"SCHED_FLAG_RESET_ON_FORK"})) ==
        std::to_string(SCHED_RR | SCHED_RESET_ON_FORK) + " 4 0");
  CHECK(scheduler_after(scheduler("SCHED_FIFO", 0, 100)) ==
        "error: set scheduler: invalid argument");
  CHECK(scheduler_after(scheduler("SCHED_FAST")) ==
        "error: process.scheduler.policy: unknown value SCHED_FAST");
  CHECK(scheduler_after(scheduler("SCHED_OTHER", 0, 0, {"SCHED_FLAG_NONE"})) ==
        "error: process.scheduler.flags: unknown value SCHED_FLAG_NONE");
}

TEST_CASE("process limits: a deadline has its three times", "[root]") {
  SKIP_UNLESS_ROOT();
  oci::Scheduler deadline = scheduler("SCHED_DEADLINE");
  deadline.runtime = 1'000'000;
  deadline.deadline = 5'000'000;
  deadline.period = 10'000'000;
  CHECK(scheduler_after(deadline) == "6 0 0");
  deadline.runtime = 6'000'000;  // more than its deadline
  CHECK(scheduler_after(deadline) == "error: set scheduler: invalid argument");
}

TEST_CASE("process limits: I/O priority and personality", "[root]") {
  SKIP_UNLESS_ROOT();
  const auto io_after = [](const oci::IoPriority& priority) {
    return in_child([&] {
      apply_io_priority(priority);
      const long got = ::syscall(SYS_ioprio_get, IOPRIO_WHO_PROCESS, 0);
      return std::to_string(got >> IOPRIO_CLASS_SHIFT) + " " + std::to_string(got & 7);
    });
  };
  CHECK(io_after({"IOPRIO_CLASS_RT", 1}) == "1 1");
  CHECK(io_after({"IOPRIO_CLASS_BE", 7}) == "2 7");
  CHECK(io_after({"IOPRIO_CLASS_IDLE", 0}) == "3 0");
  CHECK(io_after({"IOPRIO_CLASS_NONE", 0}) ==
        "error: process.ioPriority.class: unknown value IOPRIO_CLASS_NONE");
  const auto domain_after = [](const oci::Personality& wanted) {
    return in_child([&] {
      apply_personality(wanted);
      return std::to_string(::personality(0xffffffff));
    });
  };
  CHECK(domain_after({"LINUX32", {}}) == std::to_string(PER_LINUX32));
  CHECK(domain_after({"LINUX", {}}) == std::to_string(PER_LINUX));
  CHECK(domain_after({"BSD", {}}) == "error: linux.personality.domain: unknown value BSD");
  CHECK(domain_after({"LINUX", {"ADDR_NO_RANDOMIZE"}}) ==
        "error: linux.personality.flags is not supported");
}
