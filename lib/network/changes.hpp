// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "lib/base/unique_fd.hpp"
#include "lib/network/namespace.hpp"

namespace husk::network {

/// A non-blocking socket that becomes readable when links, addresses, routes or rules of that
/// namespace change (rtnetlink(7)); what it says is not needed. Not when a neighbour is found, which
/// is all the time. Throws system.
UniqueFd watch_changes(const NetworkNamespace& in);

}  // namespace husk::network
