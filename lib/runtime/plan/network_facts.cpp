// SPDX-License-Identifier: Apache-2.0
#include "lib/runtime/plan/network_facts.hpp"

#include <algorithm>

#include "lib/base/error.hpp"
#include "lib/base/text.hpp"

namespace husk::runtime {

void check_network(const NetworkFacts& facts) {
  if (facts.is_the_hosts) {
    throw Error(Errc::unsupported, "network namespace " + facts.path.string() +
                                       ": is the host's, which a VM cannot join");
  }
  if (!facts.vm.empty()) return;
  // A running process has its own network stack there, which would get nothing any more.
  const bool is_of_process = facts.path.string().starts_with("/proc/");
  if (facts.tap.empty() && !is_of_process) return;
  throw Error(Errc::unsupported, "network namespace " + facts.path.string() +
                                     ": is used by another container; two VMs, or a VM and a "
                                     "process, cannot share addresses");
}

unsigned plan_cards(const std::optional<NetworkFacts>& named) {
  return named ? static_cast<unsigned>(named->cards_needed) : 1;
}

}  // namespace husk::runtime
