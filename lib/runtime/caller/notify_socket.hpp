// SPDX-License-Identifier: Apache-2.0
// sd_notify(3) from inside of a container: the caller's datagram socket, which a bind mount puts
// into the container (Podman, --sdnotify=container) and which no VM reaches through virtio-fs.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "lib/base/unique_fd.hpp"
#include "lib/oci/bundle.hpp"

namespace husk::runtime {

struct NotifyPlan {
  std::string in_container;      ///< NOTIFY_SOCKET: absolute
  std::filesystem::path source;  ///< of the bind mount that it is in, on the host
  std::string below;             ///< where in the source; empty: that is the socket itself
};

/// Returns nothing if the container is given no NOTIFY_SOCKET, or one that is not in a bind mount. Pure.
std::optional<NotifyPlan> plan_notify(const oci::Bundle& bundle);

/// Connected to the caller's socket, for datagrams. Empty, and said in the log, where there is none
/// that listens: as with runc that is the container's affair.
UniqueFd connect_notify(const NotifyPlan& plan);

}  // namespace husk::runtime
