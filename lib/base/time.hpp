// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

namespace husk {
/// Now, by CLOCK_REALTIME: microseconds since 1970.
std::int64_t wall_clock_us();

/// Now, as RFC 3339 in UTC with nanoseconds: "2026-11-23T19:06:00.123456789Z".
std::string rfc3339_now();
}  // namespace husk
