// SPDX-License-Identifier: Apache-2.0
// The connections that carry a process's streams, from the host's side.
#pragma once

#include <optional>

#include "lib/guestcomm/link/agent_client.hpp"

namespace husk::runtime {

/// Open, and waiting in the guest for the request that names their tokens.
struct ProcessStreams {
  guestcomm::StreamTokens tokens;
  guestcomm::Stdio<UniqueFd> sockets;

  guestcomm::Stdio<int> descriptors();  ///< of the sockets, which stay its own
};

/// Opens the streams of a process with all three streams, since its shim has all three; or with a terminal of that
/// size.
ProcessStreams open_streams(const guestcomm::GuestAccess& guest,
                            const std::optional<guestcomm::WindowSize>& terminal);

}  // namespace husk::runtime
