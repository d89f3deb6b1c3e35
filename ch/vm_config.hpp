// SPDX-License-Identifier: Apache-2.0
// The body of vm.create: Cloud Hypervisor's VmConfig in JSON.
#pragma once

#include <string>
#include <string_view>

#include "ch/additions.hpp"

namespace husk::ch {

/// libvirt's body with husk's additions, in the form of Cloud Hypervisor 28 and later. Pure. Throws invalid_argument
/// that names the key: no object, without memory or kernel, or with what husk is to add.
std::string add_to_vm_config(std::string_view body, const Additions& additions);

}  // namespace husk::ch
