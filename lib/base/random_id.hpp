// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <string>

namespace husk {
/// `bytes` random bytes from the kernel as lower-case hex.
std::string random_hex(std::size_t bytes);
}  // namespace husk
