// SPDX-License-Identifier: Apache-2.0
#include "lib/runtime/record/end_meanwhile.hpp"

#include "lib/base/cancellation.hpp"
#include "lib/base/process.hpp"

namespace husk::runtime {
namespace {

using namespace std::chrono_literals;

/// The guest knows of an end, and a VM is gone, a moment before the shim ends. The guest can only make husk wait.
constexpr auto ending_shim_patience = 1s;

bool can_be_an_end(const Error& error) {
  return error.code() == Errc::wrong_state || error.code() == Errc::peer_lost ||
         error.code() == Errc::internal;
}

}  // namespace

void check_not_ended(const StateStore& store, const ContainerRecord& record, Command command,
                     const Error& error) {
  if (cancelled_by()) return;  // the command ends by the signal, which its caller is told
  const ProcessIdentity& shim = record.shim.value();
  if (can_be_an_end(error) && !is_ending(shim.pid)) wait_for_end(shim, ending_shim_patience);
  if (is_alive(shim) && !is_ending(shim.pid)) return;
  store.load(record.id);
  check_allowed(command, ContainerState::stopped, record.id);
}

}  // namespace husk::runtime
