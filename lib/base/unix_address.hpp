// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/un.h>

#include <string>

namespace husk {

/// The address of the socket at `path`, for bind(2) and connect(2). Throws invalid_argument if that is more than the 107
/// bytes an address takes: a longer one is reached through a descriptor of its folder or file (fd_path).
sockaddr_un unix_address(const std::string& path);

}  // namespace husk
