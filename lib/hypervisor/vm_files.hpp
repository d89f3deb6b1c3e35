// SPDX-License-Identifier: Apache-2.0
// Which of the files of libvirt's qemu driver are a VM's, by their names. Private to
// lib/hypervisor.
#pragma once

#include <string>

namespace husk::hypervisor {

/// Whether /run/libvirt/qemu/`file` holds the pid of a virtiofsd of VM `vm`: libvirt calls them
/// "<domain id>-<short name>-fs<n>-fs.pid", and the short name is the first 20 characters of the
/// VM's, so those must tell it from all others.
bool is_helper_pid_file(const std::string& file, const std::string& vm);

/// Whether /var/log/libvirt/qemu/`file` is a log of VM `vm`: "NAME.log", rotated as "NAME.log.<n>",
/// and "NAME-fs<n>-virtiofsd.log".
bool is_log_file(const std::string& file, const std::string& vm);

}  // namespace husk::hypervisor
