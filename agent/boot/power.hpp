// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace husk::agent {
/// Kills what runs, writes out what is unwritten (both for a bounded time) and turns the machine
/// off.
[[noreturn]] void power_off() noexcept;
}  // namespace husk::agent
