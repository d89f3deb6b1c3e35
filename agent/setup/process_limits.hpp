// SPDX-License-Identifier: Apache-2.0
// Scheduling, resource limits and the OOM score of a process.
#pragma once

#include <sys/types.h>

#include "lib/oci/spec.hpp"

namespace husk::agent {

void apply_rlimits(pid_t pid, const std::vector<oci::Rlimit>& rlimits);
void apply_oom_score_adj(pid_t pid, int value);
void apply_scheduler(const oci::Scheduler& scheduler);
void apply_io_priority(const oci::IoPriority& priority);
void apply_personality(const oci::Personality& personality);

}  // namespace husk::agent
