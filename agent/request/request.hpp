// SPDX-License-Identifier: Apache-2.0
// The words between the connections, on which requests come, and what the requests are about.
#pragma once

#include <cstdint>
#include <functional>
#include <nlohmann/json.hpp>

#include "lib/guestcomm/protocol/rpc.hpp"

namespace husk::agent {

using guestcomm::Outcome;

/// A control connection that said hello; never used again for another one.
using ConnectionId = std::uint64_t;

/// Called once with what a request came to, at once or later.
using Reply = std::function<void(const Outcome& outcome)>;

/// The outcome of what has nothing to tell but that it was done.
inline Outcome done() { return nlohmann::json::object(); }

}  // namespace husk::agent
