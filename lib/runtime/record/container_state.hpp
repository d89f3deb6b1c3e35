// SPDX-License-Identifier: Apache-2.0
// A container's state (runtime-spec runtime.md "State"): the commands that each one allows.
#pragma once

#include <array>
#include <string>
#include <string_view>

namespace husk::runtime {

enum class ContainerState { creating, created, running, paused, stopped };
inline constexpr std::array container_states{ContainerState::creating, ContainerState::created,
                                             ContainerState::running, ContainerState::paused,
                                             ContainerState::stopped};

/// The name that `state` and `list` print, and hooks read.
std::string_view name_of(ContainerState state);

/// The commands that not every state allows. remove: delete without --force.
enum class Command { start, exec, ps, kill, kill_all, pause, resume, update, events, remove };
inline constexpr std::array commands{
    Command::start, Command::exec,   Command::ps,     Command::kill,   Command::kill_all,
    Command::pause, Command::resume, Command::update, Command::events, Command::remove};

/// Throws wrong_state, in runc's words, unless `state` allows `command`.
void check_allowed(Command command, ContainerState state, const std::string& id);

}  // namespace husk::runtime
