// SPDX-License-Identifier: Apache-2.0
// Capabilities of a process that needs none (capabilities(7)).
#pragma once

namespace husk {

/// Drops every capability from the bounding set: no program that is executed gets one. Needs
/// CAP_SETPCAP. Throws system.
void drop_bounding_set();

/// Drops the permitted, effective and inheritable capabilities of the calling thread. Throws system.
void drop_capabilities();

}  // namespace husk
