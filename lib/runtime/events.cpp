// SPDX-License-Identifier: Apache-2.0
// husk events: what a container uses and what happens to it, as its guest tells.
#include <chrono>

#include "lib/base/error.hpp"
#include "lib/runtime/record/container_state.hpp"
#include "lib/runtime/record/end_meanwhile.hpp"
#include "lib/runtime/runtime.hpp"
#include "lib/runtime/vm/vm_handle.hpp"

namespace husk::runtime {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr auto statistics_patience = 10s;

Runtime::Statistics read_statistics(const VmHandle& vm, const std::string& id) {
  return {
      .container =
          vm.connect(statistics_patience).call(guestcomm::ReadStatistics{id}, statistics_patience),
      .vm = find_host_cost(load_vm(vm.paths().directory.filename()))};
}

/// Returns nothing at the container's end, also where its VM ended with it.
std::optional<Runtime::Statistics> ask(const VmHandle& vm, const std::string& id) {
  try {
    return read_statistics(vm, id);
  } catch (const Error& error) {
    if (error.code() == Errc::peer_lost || error.code() == Errc::not_found ||
        error.code() == Errc::wrong_state)
      return std::nullopt;
    throw;
  }
}

}  // namespace

Runtime::Statistics Runtime::statistics(const std::string& id) const {
  const ContainerRecord record = store_.load_for(Command::events, id);
  return unless_it_ends(store_, record, Command::events,
                        [&] { return read_statistics(VmHandle::open(record.vm_id), id); });
}

void Runtime::follow_events(const std::string& id, milliseconds interval,
                            const OnEvent& on_event) const {
  const ContainerRecord record = store_.load_for(Command::events, id);
  const VmHandle vm =
      unless_it_ends(store_, record, Command::events, [&] { return VmHandle::open(record.vm_id); });
  guestcomm::AgentClient watching = unless_it_ends(store_, record, Command::events, [&] {
    guestcomm::AgentClient agent = vm.connect(statistics_patience);
    agent.call(guestcomm::WatchContainer{id}, statistics_patience);
    return agent;
  });
  // The first statistics come after the first interval, as with runc.
  for (Clock::time_point next = Clock::now() + interval;;) {
    const auto left = std::chrono::ceil<milliseconds>(next - Clock::now());
    std::optional<guestcomm::ContainerEvent> event;
    try {
      event = watching.next_event(std::max(left, 0ms));
    } catch (const Error& error) {
      if (error.code() == Errc::peer_lost) return;  // the VM has ended
      throw;
    }
    if (event && event->type == guestcomm::ContainerEvent::Type::stopped) return;
    if (event) on_event(*event);
    if (Clock::now() >= next) {  // however many events there are
      const auto statistics = ask(vm, id);
      if (!statistics) return;
      on_event(*statistics);
      next = Clock::now() + interval;
    }
  }
}

}  // namespace husk::runtime
