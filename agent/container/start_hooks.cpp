// SPDX-License-Identifier: Apache-2.0
#include "agent/container/start_hooks.hpp"

#include <unistd.h>

#include <nlohmann/json.hpp>

#include "lib/base/error.hpp"
#include "lib/base/text.hpp"
#include "lib/oci/run_hooks.hpp"

namespace husk::agent {

void run_start_hooks(const std::vector<oci::Hook>& hooks, const std::string& state) {
  if (hooks.empty()) return;
  auto given = nlohmann::ordered_json::parse(state);
  given["pid"] = ::getpid();
  try {
    oci::run_hooks(hooks, "startContainer", given.dump());
  } catch (const Error& error) {
    // Its output is the image's. Nor is a hook that took too long a guest that does not answer.
    throw Error(Errc::system, one_line(error.what()), error.sys_errno());
  }
}

}  // namespace husk::agent
