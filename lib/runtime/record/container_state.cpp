// SPDX-License-Identifier: Apache-2.0
#include "lib/runtime/record/container_state.hpp"

#include "lib/base/error.hpp"

namespace husk::runtime {
namespace {

/// A text for each state, in the enum's order.
using Texts = std::array<std::string_view, container_states.size()>;

constexpr Texts state_names{"creating", "created", "running", "paused", "stopped"};

constexpr std::string_view allowed;
/// containerd takes this one as gone already.
constexpr std::string_view not_running = "container not running";
constexpr std::string_view not_paused = "container not paused";
constexpr std::string_view has_ended = "container with id <id> is not running";
constexpr std::string_view placeholder = "<id>";

/// The refusals of each command, in the enum's order; callers look for the texts.
constexpr std::array<Texts, commands.size()> refusals{{
    // start
    {"cannot start a container in the creating state",  // creating
     allowed,                                           // created
     "cannot start an already running container",       // running
     "cannot start a container in the paused state",    // paused
     "cannot start a container that has stopped"},      // stopped
    // exec
    {"cannot exec in a container in the creating state", allowed, allowed,
     "cannot exec in a paused container (use --ignore-paused to override)",
     "cannot exec in a stopped container"},
    // ps
    {not_running, allowed, allowed, allowed, not_running},
    // kill
    {not_running, allowed, allowed, allowed, not_running},
    // kill --all: that nothing runs is what it is for
    {not_running, allowed, allowed, allowed, allowed},
    // pause
    {not_running, allowed, allowed, not_running, not_running},
    // resume
    {not_paused, not_paused, not_paused, allowed, not_paused},
    // update
    {not_running, allowed, allowed, allowed, not_running},
    // events
    {has_ended, allowed, allowed, allowed, has_ended},
    // delete
    {"cannot delete container <id> that is not stopped: creating", allowed,
     "cannot delete container <id> that is not stopped: running",
     "cannot delete container <id> that is not stopped: paused", allowed},
}};

/// The tables are read by the enums' values.
template <class Enum, std::size_t count>
constexpr bool is_complete(const std::array<Enum, count>& values) {
  for (std::size_t n = 0; n < count; ++n)
    if (static_cast<std::size_t>(values[n]) != n) return false;
  return true;
}
static_assert(is_complete(container_states) && is_complete(commands));

}  // namespace

std::string_view name_of(ContainerState state) {
  return state_names.at(static_cast<std::size_t>(state));
}

void check_allowed(Command command, ContainerState state, const std::string& id) {
  std::string text(
      refusals.at(static_cast<std::size_t>(command)).at(static_cast<std::size_t>(state)));
  if (text.empty()) return;
  if (const auto at = text.find(placeholder); at != std::string::npos)
    text.replace(at, placeholder.size(), id);
  throw Error(Errc::wrong_state, text);
}

}  // namespace husk::runtime
