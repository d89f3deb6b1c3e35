// SPDX-License-Identifier: Apache-2.0
#include "lib/runtime/plan/vm_shape.hpp"

#include <algorithm>

namespace husk::runtime {
namespace {

using hypervisor::memory_step_mib;
using hypervisor::MemoryDevice;
using hypervisor::VmShape;

constexpr std::uint64_t boot_memory_mib = 512;
constexpr VmSize usual_room{.memory_mib = 8192, .vcpus = usual_most_cpus};

std::uint64_t steps_up(std::uint64_t mib) {
  return (mib + memory_step_mib - 1) / memory_step_mib * memory_step_mib;
}
std::uint64_t steps_down(std::uint64_t mib) { return mib / memory_step_mib * memory_step_mib; }

/// `wanted` in whole steps, but not above the device's size.
std::uint64_t request(std::uint64_t wanted_mib, std::uint64_t device_mib) {
  return std::min(steps_up(wanted_mib), device_mib);
}

std::uint64_t beyond(std::uint64_t mib, std::uint64_t base) { return mib > base ? mib - base : 0; }

std::uint64_t room_for_memory(const VmSize& size, const VmSizeBounds& bounds) {
  std::uint64_t room = bounds.most.memory_mib == 0
                           ? std::max(size.memory_mib, usual_room.memory_mib)
                           : bounds.most.memory_mib;
  room = std::min(room, bounds.host_memory_mib);
  if (!bounds.cgroup_memory_mib) return room;
  return std::min(room, beyond(*bounds.cgroup_memory_mib, hypervisor_mib));
}

unsigned room_for_cpus(const VmSize& size, const VmSizeBounds& bounds) {
  const unsigned room = bounds.most.vcpus == 0 ? usual_room.vcpus : bounds.most.vcpus;
  return std::max(size.vcpus, std::min(room, std::max(bounds.host_cpus, bounds.usual.vcpus)));
}

/// So much that the rest is in steps.
std::uint64_t boot_memory(std::uint64_t mib) {
  return mib <= boot_memory_mib ? mib : boot_memory_mib + (mib - boot_memory_mib) % memory_step_mib;
}

}  // namespace

VmShape plan_shape(const VmSize& size, const VmSizeBounds& bounds) {
  VmShape shape{.vcpus = size.vcpus,
                .max_vcpus = room_for_cpus(size, bounds),
                .memory_mib = boot_memory(size.memory_mib),
                .memory_device = {}};
  const std::uint64_t device = steps_down(beyond(room_for_memory(size, bounds), shape.memory_mib));
  if (device != 0)
    shape.memory_device = MemoryDevice{
        .size_mib = device, .requested_mib = request(size.memory_mib - shape.memory_mib, device)};
  return shape;
}

VmShape resized(const VmShape& now, const VmSize& size) {
  VmShape shape = now;
  shape.vcpus = std::clamp(size.vcpus, 1U, std::max(now.vcpus, now.max_vcpus));
  if (shape.memory_device)
    shape.memory_device->requested_mib =
        request(beyond(size.memory_mib, now.memory_mib), now.memory_device->size_mib);
  return shape;
}

VmSize size_of(const VmShape& shape) {
  const std::uint64_t plugged = shape.memory_device ? shape.memory_device->requested_mib : 0;
  return {.memory_mib = shape.memory_mib + plugged, .vcpus = shape.vcpus};
}

VmSize most_of(const VmShape& shape) {
  const std::uint64_t device = shape.memory_device ? shape.memory_device->size_mib : 0;
  return {.memory_mib = shape.memory_mib + device, .vcpus = std::max(shape.vcpus, shape.max_vcpus)};
}

}  // namespace husk::runtime
