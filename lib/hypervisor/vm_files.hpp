// SPDX-License-Identifier: Apache-2.0
// Which of the files of libvirt's qemu driver are a VM's, by their names. Private to
// lib/hypervisor.
#pragma once

#include <string>

namespace husk::hypervisor {

/// Whether /var/log/libvirt/qemu/`file` is a log of VM `vm`: "NAME.log", rotated as "NAME.log.<n>",
/// and "NAME-fs<n>-virtiofsd.log" of a VM whose virtiofsd libvirt has started, as older versions of husk had done.
bool is_log_file(const std::string& file, const std::string& vm);

}  // namespace husk::hypervisor
