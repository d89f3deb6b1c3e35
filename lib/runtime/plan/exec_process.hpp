// SPDX-License-Identifier: Apache-2.0
// The process that `husk exec ID COMMAND` asks for. Pure.
#pragma once

#include "lib/oci/spec.hpp"
#include "lib/runtime/caller/requests.hpp"

namespace husk::runtime {

/// Throws invalid_argument for a user that is not of that form.
oci::Process plan_exec_process(oci::Process container, const ExecChanges& changes);

}  // namespace husk::runtime
