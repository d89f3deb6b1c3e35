// SPDX-License-Identifier: Apache-2.0
// How much the guest may write to a vsock socket at once.
#pragma once

#include <cstddef>

namespace husk::guestcomm {

/// Bytes. Linux spreads a longer write over several descriptors of the virtqueue (since 6.17, and in the
/// stable series of 6.12), and vhost-device-vsock 0.3 drops such packets: the stream then waits for ever.
/// A page order of 3 (32 KiB), less the kernel's own structures, is what goes into one descriptor.
constexpr std::size_t guest_write_limit = 28u << 10;

}  // namespace husk::guestcomm
