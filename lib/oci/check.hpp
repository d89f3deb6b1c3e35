// SPDX-License-Identifier: Apache-2.0
// The MUSTs of the runtime specification that shape alone does not give, and what husk refuses.
#pragma once

#include "lib/oci/spec.hpp"

namespace husk::oci {

/// Throws invalid_argument for a configuration that breaks the specification (unknown ociVersion
/// major, relative cwd or mount destination, no args, unknown namespace type, a type given twice,
/// bad rlimit, ...) and unsupported for what cannot work in a VM (intelRdt, host devices, ...).
/// Each text names the field.
void check_spec(const Spec& spec);

/// The same for a process alone (exec).
void check_process(const Process& process);

/// The same for limits alone (update).
void check_resources(const Resources& resources);

/// runc's rule for ids: letters, digits, '_', '+', '-', '.', not "." nor "..", 1 to 1024 bytes.
/// Throws invalid_argument "invalid container ID format: <id>" (the id is cut and quoted safely).
void check_container_id(const std::string& id);

}  // namespace husk::oci
