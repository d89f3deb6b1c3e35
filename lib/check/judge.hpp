// SPDX-License-Identifier: Apache-2.0
// Pure: what is known of a host -> what a person is told.
#pragma once

#include <vector>

#include "lib/check/finding.hpp"
#include "lib/check/host.hpp"

namespace husk::check {

/// One finding for each check, in the order in which a person would mend them: what others depend on comes first.
std::vector<Finding> judge(const Host& host);

/// The programs and files of others, and husk's guest.
std::vector<Finding> judge_programs(const Host& host);

/// The worst of them; pass for none.
Verdict worst(const std::vector<Finding>& findings);

}  // namespace husk::check
