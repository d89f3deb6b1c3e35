// SPDX-License-Identifier: Apache-2.0
#include "lib/runtime/vm/guest_trace.hpp"

#include "lib/base/log.hpp"
#include "lib/base/trace.hpp"
#include "lib/guestcomm/protocol/vm_messages.hpp"

namespace husk::runtime {

using std::chrono::microseconds;
namespace {

constexpr std::chrono::seconds trace_patience{10};

}  // namespace

void trace_guest(guestcomm::AgentClient& agent) noexcept {
  if (!is_tracing()) return;
  warn_on_failure([&] {
    // The guest looked at its clock between the question and the answer, which are less than a millisecond apart.
    const TraceClock::time_point asked = TraceClock::now();
    const guestcomm::GuestTrace guest = agent.call(guestcomm::TakeTrace{}, trace_patience);
    const TraceClock::time_point kernel_began =
        asked + (TraceClock::now() - asked) / 2 - microseconds(guest.now_us);
    for (const guestcomm::GuestSpan& span : guest.spans) {
      const TraceClock::time_point end = kernel_began + microseconds(span.end_us);
      if (end < trace_begin()) continue;
      add_to_trace({.name = span.name,
                    .begin = kernel_began + microseconds(span.begin_us),
                    .end = end,
                    .in_guest = true});
    }
  });
}

}  // namespace husk::runtime
