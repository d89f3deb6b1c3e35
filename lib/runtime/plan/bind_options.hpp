// SPDX-License-Identifier: Apache-2.0
// The options of a bind, as the host applies them to the bind's source.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <vector>

#include "lib/runtime/plan/guest_plan.hpp"

namespace husk::runtime {

/// Reads a bind's options as runc does: of ro and rw the last one counts, of bind and rbind always the latter. A bind is
/// private unless the options ask for more.
PinnedMount plan_bind(std::size_t number, const std::filesystem::path& source,
                      const std::vector<std::string>& options);

}  // namespace husk::runtime
