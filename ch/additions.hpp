// SPDX-License-Identifier: Apache-2.0
// ch-additions.json: what husk wants a VM of Cloud Hypervisor to have, and libvirt's ch driver cannot say. husk writes the
// file into the VM's directory before it starts the VM (lib/hypervisor/ch_domain.hpp).
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace husk::ch {

inline constexpr const char* additions_file = "ch-additions.json";
/// husk-ch's own files beside: the process that became Cloud Hypervisor, "PID START_TIME" (lib/base/process.hpp); and why
/// husk-ch failed, which libvirt tells nobody.
inline constexpr const char* process_file = "cloud-hypervisor.pid";
inline constexpr const char* failure_file = "cloud-hypervisor.failure";
inline constexpr std::size_t max_additions_bytes = 64u << 10;

struct SharedDirectory {
  std::string tag;     ///< 1 to 36 bytes
  std::string socket;  ///< virtiofsd's
  friend bool operator==(const SharedDirectory&, const SharedDirectory&) = default;
};
struct NetworkCard {
  std::string tap;  ///< Cloud Hypervisor makes it
  std::string mac;
  friend bool operator==(const NetworkCard&, const NetworkCard&) = default;
};
struct Vsock {
  std::uint32_t cid = 0;
  std::string socket;  ///< Cloud Hypervisor makes it
  friend bool operator==(const Vsock&, const Vsock&) = default;
};
struct LandlockRule {
  std::string path;
  std::string access;  ///< "r", "w" or "rw"
  friend bool operator==(const LandlockRule&, const LandlockRule&) = default;
};

/// All paths are absolute.
struct Additions {
  std::string program;  ///< the real cloud-hypervisor
  std::vector<SharedDirectory> fs;
  std::vector<NetworkCard> net;
  Vsock vsock;
  /// A file, or a FIFO that somebody has open, which then gets what Cloud Hypervisor says as well.
  std::string serial_file;
  std::uint64_t memory_hotplug_mib = 0;  ///< that the guest can be given while it runs; 0: none
  /// The files that Cloud Hypervisor may open beside those of its request. nullopt: all files.
  std::optional<std::vector<LandlockRule>> landlock;
  bool pvpanic = false;
};

/// Throws invalid_argument that names the field: `ch-additions.json: vsock.cid: ...`. Refuses unknown keys.
Additions parse_additions(std::string_view text);

/// Reads the file in the VM's folder. Throws system, and as parse_additions.
Additions load_additions(const std::filesystem::path& folder);

}  // namespace husk::ch
