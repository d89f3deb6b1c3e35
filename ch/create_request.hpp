// SPDX-License-Identifier: Apache-2.0
// The body of `PUT /api/v1/vm.create`, by which libvirt asks Cloud Hypervisor for a VM.
#pragma once

#include <string>
#include <string_view>

#include "ch/additions.hpp"

namespace husk::ch {

/// libvirt's body with what libvirt cannot say: shared memory, without which there is no vhost-user device; the file
/// servers; the vsock device; the serial console in a file, and no other console; Landlock. Where the body is that of a
/// libvirt before 9.10, which names the kernel as Cloud Hypervisor did until version 27, the kernel is named as from
/// version 28 on. Whatever else is in the body stays as it is. Throws invalid_argument, naming the field, for a body that
/// is no object, names no kernel or no memory, or has a file server or vsock device already.
std::string complete_create_request(std::string_view body, const Additions& additions);

}  // namespace husk::ch
