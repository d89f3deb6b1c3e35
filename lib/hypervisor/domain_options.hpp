// SPDX-License-Identifier: Apache-2.0
// How libvirt is to be asked, apart from what the VM is.
#pragma once

namespace husk::hypervisor {

/// Whether a card has anything to do with its tap.
enum class Cable { in, out };

/// How libvirt finds out which features the guest's CPU got: two lists of bits, or a question for
/// each of some 400, which takes 0.2 s of every start.
enum class CpuQuestions { few, all };

}  // namespace husk::hypervisor
