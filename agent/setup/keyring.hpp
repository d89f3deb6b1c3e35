// SPDX-License-Identifier: Apache-2.0
// A container's session keyring (session-keyring(7)).
#pragma once

#include <string>

namespace husk::agent {

/// "_ses.ID." and 32 random hex digits, for a new container. Whoever knows the name and has the
/// keyring's owner as user can join the keyring: tell it to the container's own processes only.
std::string make_keyring_name(const std::string& container_id);

/// Makes `name` the caller's session keyring, or joins the one that the container's first process made
/// (runc: "_ses.ID"). A new keyring can be viewed, read, changed and linked by its possessors alone, who
/// are the processes that have joined it. Call it as root of the container's user namespace. A kernel
/// without keys is fine. Throws system in runc's words.
void join_session_keyring(const std::string& name);

}  // namespace husk::agent
