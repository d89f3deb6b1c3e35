// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "lib/guestcomm/protocol/shared_tmpfs.hpp"
#include "lib/oci/spec.hpp"
#include "lib/runtime/host/overlay_source.hpp"

namespace husk::runtime {

/// The source of a bind, or an overlay, and where in the container it goes.
struct PinnedMount {
  std::size_t number = 0;                ///< index into the spec's mounts
  std::filesystem::path source;          ///< absolute; an overlay's topmost lower directory
  bool recursive = false;                ///< rbind: with the mounts below the source
  bool read_only = false;                ///< ro: the mount itself, not those below it
  std::optional<bool> tree_read_only{};  ///< rro or rrw: with those below it
  bool follow_host = false;              ///< (r)slave, (r)shared: shows what the host mounts later
  /// Pinned until the VM ends: the guest has something in place of the source, for as long.
  bool is_kept = false;
  std::optional<OverlaySource> overlay{};  ///< what to make in place of a copy of `source`
};

/// The spec as the guest shall apply it (protocol/create_messages.hpp), and the binds it
/// needs.
struct GuestPlan {
  oci::Spec spec;
  std::vector<PinnedMount> binds;
  std::vector<guestcomm::SharedTmpfs>
      shared_tmpfs{};  ///< which the guest has in place of binds; these are pinned all the same
};

/// The facts about binds that pinning finds; numbers are indices into the spec's mounts.
struct PinnedBinds {
  std::vector<std::size_t> with_mounts_below{};
  /// The restrictions (nosuid, nodev, noexec) of the mount on the host that the source is on.
  std::map<std::size_t, std::vector<std::string>> options{};
};

}  // namespace husk::runtime
