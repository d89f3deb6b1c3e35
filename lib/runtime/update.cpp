// SPDX-License-Identifier: Apache-2.0
// husk update: limits of a container, which its guest keeps to.
#include "lib/base/error.hpp"
#include "lib/guestcomm/protocol/container_messages.hpp"
#include "lib/oci/check.hpp"
#include "lib/runtime/record/container_state.hpp"
#include "lib/runtime/record/end_meanwhile.hpp"
#include "lib/runtime/runtime.hpp"
#include "lib/runtime/vm/vm_handle.hpp"

namespace husk::runtime {

void Runtime::update(const std::string& id, const oci::Resources& resources) {
  constexpr std::chrono::seconds patience{10};
  const ContainerRecord record = store_.load_for(Command::update, id);
  oci::check_resources(resources);
  unless_it_ends(store_, record, Command::update, [&, vm_id = record.vm_id] {
    step("the guest did not update the container", [&] {
      VmHandle::open(vm_id).connect(patience).call(guestcomm::UpdateContainer{id, resources},
                                                   patience);
    });
  });
}

}  // namespace husk::runtime
