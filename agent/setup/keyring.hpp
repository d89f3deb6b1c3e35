// SPDX-License-Identifier: Apache-2.0
// A container's session keyring (session-keyring(7)).
#pragma once

#include <string>

namespace husk::agent {

/// Makes the keyring "_ses.ID" of the container the caller's session keyring, or joins the one that
/// its first process made, as runc does. Call it as root of the container's user namespace. A kernel
/// without keys is fine. Throws system in runc's words.
void join_session_keyring(const std::string& container_id);

}  // namespace husk::agent
