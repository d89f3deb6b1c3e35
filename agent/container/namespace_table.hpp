// SPDX-License-Identifier: Apache-2.0
// The pid, ipc and uts namespaces of the guest that containers may share, by the names that the host gives
// them (protocol/namespace_use.hpp).
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "lib/base/unique_fd.hpp"
#include "lib/guestcomm/protocol/namespace_use.hpp"

namespace husk::agent {

/// An open namespace, which exists as long as this does, with or without a process in it.
struct GuestNamespace {
  std::uint64_t flag = 0;  ///< its type, as clone(2) has it
  UniqueFd fd;
  bool is_pinned = false;  ///< the caller made the host's before any container (Way::share)
};
using GuestNamespaces = std::vector<std::shared_ptr<const GuestNamespace>>;

class NamespaceTable {
 public:
  /// The namespaces that a new container joins, by `uses`. Throws not_found for one that it must join and
  /// that no container has.
  GuestNamespaces find(const std::vector<guestcomm::NamespaceUse>& uses) const;
  /// Gives the namespaces of a container's first process their names. What is returned is the container's:
  /// another one finds them as long as the container keeps them: until its end, when the shim whose namespaces have
  /// these names goes, or until it is deleted (is_pinned). Throws system.
  GuestNamespaces add(const std::vector<guestcomm::NamespaceUse>& uses, pid_t first);

 private:
  using Key = std::pair<std::string, std::string>;  ///< type and name
  std::shared_ptr<const GuestNamespace> look_up(const guestcomm::NamespaceUse& use) const;
  std::map<Key, std::weak_ptr<const GuestNamespace>> known_;
};

}  // namespace husk::agent
