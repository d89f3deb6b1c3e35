// SPDX-License-Identifier: Apache-2.0
// Descriptors for the caller of a command, over Unix sockets on which it listens: --console-socket,
// --pidfd-socket.
#pragma once

#include <filesystem>
#include <string>

namespace husk::runtime {

/// Sends a descriptor as runc does: one message with `name`, and the descriptor, which stays the caller's of this
/// function. `kind` is for errors: "console socket". Throws system (EAGAIN after
/// 10 s), invalid_argument.
void send_to_caller(const std::filesystem::path& socket, const std::string& kind,
                    const std::string& name, int descriptor);

}  // namespace husk::runtime
