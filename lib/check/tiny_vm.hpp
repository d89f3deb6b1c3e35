// SPDX-License-Identifier: Apache-2.0
// A virtual machine of one instruction: shows whether /dev/kvm works, which opening the device does not.
#pragma once

#include <chrono>
#include <string>

namespace husk::check {

struct TinyVm {
  enum class Result { works, failed, hangs };
  Result result = Result::works;
  std::string error{};  ///< of `failed`: the call and the kernel's reason
};

/// Runs "hlt" in a VM, in a child that is killed after `patience`. Where no child can be made, the
/// result is `failed`.
TinyVm run_tiny_vm(std::chrono::milliseconds patience);

}  // namespace husk::check
