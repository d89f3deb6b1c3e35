// SPDX-License-Identifier: Apache-2.0
#include "agent/start_hooks.hpp"

#include <sys/prctl.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "lib/base/error.hpp"
#include "lib/base/text.hpp"
#include "lib/oci/run_hooks.hpp"

namespace husk::agent {

void run_start_hooks(const std::vector<oci::Hook>& hooks, const std::string& state) {
  if (hooks.empty()) return;
  // They see this process in /proc while it still is the agent's copy: none may read its memory or
  // open its program (CVE-2016-9962, CVE-2019-5736). exec undoes it.
  check_sys(::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0), "set not dumpable");
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
