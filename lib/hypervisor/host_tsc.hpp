// SPDX-License-Identifier: Apache-2.0
// The host's time stamp counter, which QEMU's emulated x86 CPU (TCG) passes on as its own.
#pragma once

#include <cstdint>

namespace husk::hypervisor {

/// Measures the frequency in kHz for 5 ms; 0 where the host's CPUs have no such counter.
std::uint32_t measure_tsc_khz();

}  // namespace husk::hypervisor
