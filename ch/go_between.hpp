// SPDX-License-Identifier: Apache-2.0
// husk-ch stands in for cloud-hypervisor for the time of one request. libvirt's ch driver has no element for shared
// memory, virtio-fs or vsock, but starts whatever <emulator> names, and gives it the listening socket of the API:
//
//   libvirt            husk-ch                          cloud-hypervisor
//      | fork, exec ------>|
//      | vm.create ------->| merges husk's additions
//      |                   | fork: the child stays -------- exec of the parent: same pid, socket, arguments
//      |                   | vm.create with additions ----------->|
//      |<- answer, "close" | <------------------------------------|
//      |                   (the child exits)
//      | vm.boot and all later requests ------------------------->|
#pragma once

#include <chrono>
#include <string>
#include <vector>

namespace husk::ch {

/// The time from the start to libvirt's answer.
inline constexpr std::chrono::seconds default_patience{10};

/// Becomes cloud-hypervisor. Returns the exit status only if that fails, having told why on standard error and, once
/// there is a connection, libvirt. The process must have one thread. `arguments` begin with argv[0].
int run(const std::vector<std::string>& arguments,
        std::chrono::milliseconds patience = default_patience);

}  // namespace husk::ch
