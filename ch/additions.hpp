// SPDX-License-Identifier: Apache-2.0
// What libvirt's ch driver cannot say of a VM, and husk therefore says in a file (lib/hypervisor/ch_domain.hpp writes it).
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace husk::ch {

/// A vhost-user file server that listens.
struct FileServer {
  std::string tag;
  std::string socket;
};

/// A path that Cloud Hypervisor may open later, beside those of the request.
struct LandlockRule {
  std::string path;
  std::string access;  ///< "r", "w" or "rw"
};

struct Additions {
  std::filesystem::path program;  ///< cloud-hypervisor, an absolute path
  std::uint32_t vsock_cid = 0;
  std::string vsock_socket;
  std::string serial_file;
  std::vector<FileServer> file_servers;
  std::uint64_t memory_hotplug_mib = 0;  ///< that the guest can be given while it runs; 0: none
  std::vector<LandlockRule> landlock;
};

/// Throws invalid_argument, naming the field, for text that is not exactly that: a field that is missing, unknown or of
/// another type, a path that is not absolute, a CID that no guest can have.
Additions read_additions(std::string_view text);

}  // namespace husk::ch
