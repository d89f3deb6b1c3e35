// SPDX-License-Identifier: Apache-2.0
// A container that ends while a command is at work on it: the command then says what it says of a container that
// ended before, whatever failed on the way.
#pragma once

#include <concepts>
#include <utility>

#include "lib/base/error.hpp"
#include "lib/runtime/record/container_record.hpp"
#include "lib/runtime/record/container_state.hpp"
#include "lib/runtime/record/state_store.hpp"

namespace husk::runtime {

/// Returns if the container has not ended, or a signal cancelled the command. Waits up to 1 s for its shim's end where `error` can come from the
/// container's end. Else throws the refusal of `command` for a stopped container, or not_found "container does not
/// exist" for one that was deleted. `record` has a shim.
void check_not_ended(const StateStore& store, const ContainerRecord& record, Command command,
                     const Error& error);

/// Runs `f`. Its error becomes that of check_not_ended if the container has ended.
template <std::invocable F>
auto unless_it_ends(const StateStore& store, const ContainerRecord& record, Command command,
                    F&& f) {
  try {
    return std::forward<F>(f)();
  } catch (const Error& error) {
    check_not_ended(store, record, command, error);
    throw;
  }
}

}  // namespace husk::runtime
