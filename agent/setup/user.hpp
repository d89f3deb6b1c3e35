// SPDX-License-Identifier: Apache-2.0
// The user of the container's process, and what the environment says of that user.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/oci/spec.hpp"

namespace husk::agent {

/// Groups, group and user. With PR_SET_KEEPCAPS on, so that apply_capabilities decides what stays.
void apply_user(const oci::User& user);

/// The home directory of `uid` in the text of a passwd file; empty if it has none.
std::optional<std::string> find_home(std::string_view passwd, std::uint32_t uid);

/// process.env with the last value of each name only, and with HOME added from the image's
/// /etc/passwd ("/" if that file has no entry), as runc does.
std::vector<std::string> complete_environment(int root_fd, const oci::Process& process);

}  // namespace husk::agent
