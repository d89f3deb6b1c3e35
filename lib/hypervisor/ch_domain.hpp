// SPDX-License-Identifier: Apache-2.0
// A VM of Cloud Hypervisor, in two parts: what libvirt's ch driver takes, and the rest, which husk-ch adds to libvirt's
// request. Pure. Private to lib/hypervisor.
#pragma once

#include <filesystem>
#include <string>

#include "lib/hypervisor/vm.hpp"

namespace husk::hypervisor {

/// The emulator that the XML names: a link to husk-ch in the VM's directory, by which husk-ch finds its VM.
inline constexpr const char* ch_emulator = "cloud-hypervisor";
/// The file beside the link, with ch_additions().
inline constexpr const char* ch_additions_file = "ch-additions.json";
/// husk-ch writes both: Driver::process_file, and why it failed.
inline constexpr const char* ch_process_file = "cloud-hypervisor.pid";
inline constexpr const char* ch_failure_file = "cloud-hypervisor.failure";

/// The domain XML for libvirt's ch driver, of every version from 9.0 on. The driver refuses most devices, and passes over
/// memoryBacking and vsock, so none of them is in the XML. Nor are network cards: libvirt before 10.7 wants a tap that is
/// there already and would outlive the VM. All processors are there from the start, as for QEMU. Throws invalid_argument,
/// with the VM's name, without VmConfig::go_between.
std::string ch_domain_xml(const VmConfig& config);

/// The JSON text for husk-ch: shared memory and what more can be plugged, virtio-fs, vsock, network cards, whose taps Cloud
/// Hypervisor makes and takes along, the console's file, and the files that Cloud Hypervisor may open at all (Landlock).
/// Throws invalid_argument without a vsock of its own, and as check_network_card.
std::string ch_additions(const VmConfig& config);

}  // namespace husk::hypervisor
