// SPDX-License-Identifier: Apache-2.0
// husk pause and husk resume: of the container, by its cgroup in the guest; the agent goes on and serves kill, delete
// and the others. That it is paused stands in the record before it is, and until it is not any more: whatever a
// command that is killed half-way leaves, `resume` puts right.
#include "lib/base/error.hpp"
#include "lib/base/log.hpp"
#include "lib/guestcomm/protocol/container_messages.hpp"
#include "lib/runtime/record/end_meanwhile.hpp"
#include "lib/runtime/runtime.hpp"
#include "lib/runtime/vm/vm_handle.hpp"

namespace husk::runtime {
namespace {

using namespace std::chrono_literals;

constexpr auto pause_patience = 10s;  ///< the agent gives up after 5

void resume_in_guest(const ContainerRecord& record) {
  VmHandle::open(record.vm_id)
      .connect(pause_patience)
      .call(guestcomm::ResumeContainer{record.id}, pause_patience);
}

void pause_in_guest(const StateStore& store, ContainerRecord& record) {
  guestcomm::AgentClient agent = VmHandle::open(record.vm_id).connect(pause_patience);
  record.paused = true;
  store.save(record);
  try {
    agent.call(guestcomm::PauseContainer{record.id}, pause_patience);
  } catch (const Error& e) {
    // It may have been too late only. A guest that cannot be asked may yet do it: then it counts as
    // paused, so that `resume` is possible.
    warn_on_failure([&] {
      resume_in_guest(record);
      record.paused = false;
      store.save(record);
    });
    throw e.within("the guest did not pause the container");
  }
}

}  // namespace

void Runtime::pause(const std::string& id) {
  const DirectoryLock lock = store_.lock(id);
  ContainerRecord record = store_.load(id);
  check_allowed(Command::pause, state_of(record, /*create_at_work=*/false), id);
  unless_it_ends(store_, record, Command::pause, [&] { pause_in_guest(store_, record); });
}

void Runtime::resume(const std::string& id) {
  const DirectoryLock lock = store_.lock(id);
  ContainerRecord record = store_.load(id);
  check_allowed(Command::resume, state_of(record, /*create_at_work=*/false), id);
  unless_it_ends(store_, record, Command::resume, [&] {
    step("the guest did not resume the container", [&] { resume_in_guest(record); });
  });
  record.paused = false;
  store_.save(record);
}

}  // namespace husk::runtime
