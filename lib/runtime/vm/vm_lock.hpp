// SPDX-License-Identifier: Apache-2.0
// Changes of a VM's record (vm_record.hpp) by one command at a time.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>

#include "lib/base/directory_lock.hpp"
#include "lib/base/error.hpp"
#include "lib/runtime/vm/vm_record.hpp"

namespace husk::runtime {

/// For a command that waits for others like itself.
inline constexpr std::chrono::seconds vm_lock_patience{10};

/// Locks the VM's directory. Empty: the directory is gone. Throws timed_out when another command has held
/// the lock all the time.
std::optional<DirectoryLock> lock_vm(const std::string& vm_id,
                                     std::chrono::seconds patience = vm_lock_patience);

/// Changes the record on disk under the VM's lock. Throws not_found "VM 1234: is gone", what lock_vm
/// and load_vm throw.
void change_vm(const std::string& vm_id, const std::function<void(VmRecord&)>& change,
               std::chrono::seconds patience = vm_lock_patience);

/// "VM 1234: is gone"
Error vm_gone(const std::string& vm_id);

}  // namespace husk::runtime
