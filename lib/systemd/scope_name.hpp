// SPDX-License-Identifier: Apache-2.0
// Names of the units that husk has systemd make (scope.hpp). Pure.
#pragma once

#include <string>

namespace husk::systemd {

/// Throws invalid_argument unless `name` is that of a scope or a slice: husk makes no other unit.
void check_scope_name(const std::string& name);

}  // namespace husk::systemd
