// SPDX-License-Identifier: Apache-2.0
// Memory that containers of one VM share: in place of a bind of an empty tmpfs of the host the guest mounts a tmpfs of
// its own, the same for all containers whose binds have that source. Shared mappings are not coherent over virtio-fs,
// and slow.
#pragma once

#include <cstddef>
#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

namespace husk::guestcomm {

/// A path below the root of the tmpfs. The guest's containers shape what is there: the agent resolves the path inside the
/// tmpfs. Where nothing is, a directory with that mode and that owner is made.
struct TmpfsPart {
  std::string path;        ///< absolute, the root of the tmpfs being "/"; 4095 bytes at most
  std::uint16_t mode = 0;  ///< 07777 at most
  std::uint32_t uid = 0, gid = 0;
  bool operator==(const TmpfsPart&) const = default;
};

/// An agent that does not know of these makes the bind.
struct SharedTmpfs {
  std::size_t mount = 0;  ///< index into the spec's mounts, of the bind
  std::string name{};     ///< of the host's tmpfs: 1 to 64 of [0-9:]
  /// Mount options of the guest's tmpfs: nosuid, nodev, noexec, size=, mode=, uid=, gid=. Without a size: half of
  /// the guest's memory.
  std::vector<std::string> options{};
  bool is_kept =
      false;  ///< until the VM ends; otherwise until the last container that uses the tmpfs is deleted
  std::optional<TmpfsPart> part{};  ///< which the bind shows; empty: the whole
  bool operator==(const SharedTmpfs&) const = default;
};

void to_json(nlohmann::json& json, const SharedTmpfs& v);
/// Throws invalid_argument for another name or option.
void from_json(const nlohmann::json& json, SharedTmpfs& v);

}  // namespace husk::guestcomm
