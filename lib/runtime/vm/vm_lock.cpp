// SPDX-License-Identifier: Apache-2.0
#include "lib/runtime/vm/vm_lock.hpp"

#include "lib/runtime/plan/vm_paths.hpp"

namespace husk::runtime {

Error vm_gone(const std::string& vm_id) { return {Errc::not_found, "VM " + vm_id + ": is gone"}; }

std::optional<DirectoryLock> lock_vm(const std::string& vm_id, std::chrono::seconds patience) {
  return DirectoryLock::lock(VmPaths(vm_id).directory, patience, "VM " + vm_id + ":");
}

void change_vm(const std::string& vm_id, const std::function<void(VmRecord&)>& change,
               std::chrono::seconds patience) {
  const std::optional<DirectoryLock> lock = lock_vm(vm_id, patience);
  if (!lock) throw vm_gone(vm_id);
  VmRecord record = load_vm(vm_id);
  change(record);
  save_vm(record);
}

}  // namespace husk::runtime
