// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace husk::shim {
/// Gives up what the shim does not need: every capability, gaining new ones, core dumps of it. It
/// only moves bytes between descriptors that it already has. Throws system.
void drop_privileges();
}  // namespace husk::shim
