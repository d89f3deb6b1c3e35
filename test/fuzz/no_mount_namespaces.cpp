// SPDX-License-Identifier: Apache-2.0
// In the place of lib/runtime/vm/other_mount_namespace.cpp for the fuzz target of the records, which reads
// text alone: load_vm, which asks for these, is not called.
#include <cstdlib>

#include "lib/runtime/vm/other_mount_namespace.hpp"

namespace husk::runtime {

UniqueFd find_vm_directory(const VmPaths&, const std::string&) { std::abort(); }
Error other_mount_namespace_error(const VmPaths&) { std::abort(); }

}  // namespace husk::runtime
