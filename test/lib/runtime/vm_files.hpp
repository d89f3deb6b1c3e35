// SPDX-License-Identifier: Apache-2.0
// What the tests of VmDirectory share: the files of a VM, and a child with a /run of its own.
#pragma once

#include <functional>
#include <string>

#include "lib/runtime/vm/vm_directory.hpp"
#include "test/lib/base/child.hpp"
#include "test/lib/base/scratch.hpp"

namespace husk::test {

/// A VM's, for VmDirectory.
const std::string secret(32, '5');
const std::string kernel_settings = to_text(guestcomm::KernelSettings{});

/// Runs `body` in a child with a mount namespace and a /run of its own, for what would disturb the
/// machine's. "", or what `body` threw.
std::string in_own_run(const std::function<void()>& body);

/// Whether this thread's mount namespace has a mount whose path contains `directory`.
bool is_mounted_below(const std::filesystem::path& directory);

/// Kernel, initrd, firmware, modules, a rootfs with one file, and a file to bind.
struct Assets : Scratch {
  Assets();
  runtime::BootAssets boot() const;
};

}  // namespace husk::test
