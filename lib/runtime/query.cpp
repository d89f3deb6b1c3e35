// SPDX-License-Identifier: Apache-2.0
// husk state and husk list: what the state folder and /proc tell; neither libvirt nor the guest is
// asked.
#include "lib/base/error.hpp"
#include "lib/runtime/runtime.hpp"

namespace husk::runtime {

oci::State Runtime::state(const std::string& id) const {
  const KnownContainer container = store_.load_with_state(id);
  return container.record.to_state(container.state);
}

std::vector<oci::State> Runtime::list() const {
  std::vector<oci::State> states;
  for (const std::string& id : store_.ids()) {
    try {
      states.push_back(state(id));
    } catch (const Error&) {
      continue;  // another runtime's, damaged, or just deleted: one bad entry must not hide the
                 // others
    }
  }
  return states;
}

}  // namespace husk::runtime
