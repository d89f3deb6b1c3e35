// SPDX-License-Identifier: Apache-2.0
// AF_VSOCK between host and guest in one process, for machines without: the test program's own socket(2), bind(2),
// connect(2) and accept4(2), which make abstract Unix sockets of vsock's. A name is taken as long as its socket is
// open, as a vsock port is. Every connection comes from CID 2, and there is one guest, whatever the CID.
#pragma once

#include <cstdint>

#include "lib/base/unique_fd.hpp"

namespace husk::test {

/// A socket that holds the port; empty, with errno, if another has it.
UniqueFd bind_to(std::uint32_t port);
/// A connection from that source port, as any user of the host can make one from 1024 on. Empty, with errno, if the guest
/// takes none at once.
UniqueFd connect_from(std::uint32_t source, std::uint32_t port);

}  // namespace husk::test
