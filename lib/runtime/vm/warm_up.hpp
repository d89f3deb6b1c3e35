// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>

#include "lib/runtime/vm/new_vm.hpp"

namespace husk::runtime {

/// Has a VM of the pool, whose guest has booted, run a container of husk's own once, of which nothing stays: what the next
/// container needs of the guest's kernel, agent and files has been read, and translated where the CPU is emulated. `busybox`:
/// a static one. Throws as creating a container does.
void warm_up(NewVm& vm, const std::filesystem::path& busybox);

}  // namespace husk::runtime
