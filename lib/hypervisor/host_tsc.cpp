// SPDX-License-Identifier: Apache-2.0
#include "lib/hypervisor/host_tsc.hpp"

#include <chrono>

#if defined(__x86_64__)
#include <x86intrin.h>

#include <thread>
#endif

namespace husk::hypervisor {

#if defined(__x86_64__)

namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds measured_time{5};
constexpr int attempts = 8;

struct Reading {
  std::uint64_t ticks = 0;
  Clock::time_point time;
};

/// Reads both clocks at one moment: takes the reading that the scheduler disturbed least.
Reading read_both() {
  Reading best;
  auto narrowest = Clock::duration::max();
  for (int i = 0; i < attempts; ++i) {
    const Clock::time_point before = Clock::now();
    const std::uint64_t ticks = __rdtsc();
    const Clock::duration width = Clock::now() - before;
    if (width >= narrowest) continue;
    narrowest = width;
    best = {ticks, before + width / 2};
  }
  return best;
}

}  // namespace

std::uint32_t measure_tsc_khz() {
  const Reading first = read_both();
  std::this_thread::sleep_for(measured_time);
  const Reading last = read_both();
  const std::chrono::duration<double, std::milli> passed = last.time - first.time;
  return static_cast<std::uint32_t>(static_cast<double>(last.ticks - first.ticks) / passed.count());
}

#else

std::uint32_t measure_tsc_khz() { return 0; }

#endif

}  // namespace husk::hypervisor
