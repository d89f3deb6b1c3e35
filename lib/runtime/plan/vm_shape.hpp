// SPDX-License-Identifier: Apache-2.0
// From the size of a VM to what it boots with, and what is plugged. Pure.
#pragma once

#include "lib/hypervisor/vm.hpp"
#include "lib/runtime/plan/vm_size.hpp"

namespace husk::runtime {

/// A guest boots with 512 to 639 MiB at most, so that the rest is in steps. The rest is plugged, since a guest with much memory boots slower
/// (docs/performance.md). The VM can grow to what the administrator allows, else to 8 GiB and 8 CPUs, and never beyond
/// the host: room to grow costs memory in the hypervisor and in the guest.
hypervisor::VmShape plan_shape(const VmSize& size, const VmSizeBounds& bounds);

/// The shape of a running VM with another size, as near as its memory device and its CPUs allow.
hypervisor::VmShape resized(const hypervisor::VmShape& now, const VmSize& size);

/// What a VM of that shape has.
VmSize size_of(const hypervisor::VmShape& shape);

/// The most that it can have.
VmSize most_of(const hypervisor::VmShape& shape);

}  // namespace husk::runtime
