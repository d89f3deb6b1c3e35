// SPDX-License-Identifier: Apache-2.0
#include "lib/runtime/plan/vm_paths.hpp"

#include "lib/hypervisor/vm_id.hpp"

namespace husk::runtime {

VmPaths::VmPaths(const std::string& vm_id) {
  hypervisor::check_vm_id(vm_id);
  directory = std::filesystem::path(vm_directories) / vm_id;
}

std::string vm_name(const std::string& vm_id) { return "husk-" + vm_id; }

}  // namespace husk::runtime
