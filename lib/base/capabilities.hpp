// SPDX-License-Identifier: Apache-2.0
// Capabilities of a process that needs few or none (capabilities(7)).
#pragma once

#include <span>

namespace husk {

/// Drops every capability from the bounding set: no program that is executed gets one. Needs
/// CAP_SETPCAP. Throws system.
void drop_bounding_set();

/// The same with all but `kept`, numbers of CAP_.
void keep_in_bounding_set(std::span<const int> kept);

/// Empties the inheritable and the ambient set of the calling thread, which a program of root's gets beside the bounding set.
/// Throws system.
void drop_inheritable();

/// Drops the permitted, effective and inheritable capabilities of the calling thread. Throws system.
void drop_capabilities();

}  // namespace husk
