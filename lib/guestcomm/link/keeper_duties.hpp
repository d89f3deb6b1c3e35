// SPDX-License-Identifier: Apache-2.0
// What the keeper of a VM watches and does.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <vector>

#include "lib/base/process.hpp"
#include "lib/base/unique_fd.hpp"

namespace husk::guestcomm {

/// The processes that the keeper watches; all must be running.
struct KeptVm {
  ProcessIdentity vm;                         ///< the hypervisor
  /// End by themselves after the VM; else killed. The VM does not outlive one of them.
  std::vector<ProcessIdentity> helpers = {};
  std::vector<ProcessIdentity> shims = {};    ///< see KeeperCallbacks; none: not watched
  int changes = -1;   ///< a datagram socket, non-blocking, which tells of changes; -1: none
  int listener = -1;  ///< a listening socket, non-blocking, whose connections to serve; -1: none
  int held = -1;      ///< to be kept open until the VM is gone; -1: nothing
};

/// Called after `changes` told something and was quiet for 100 ms: in a child of the keeper,
/// never twice at a time. Exceptions are ignored.
using OnChange = std::function<void()>;

/// Serves a connection that `listener` accepted, in a child of the keeper, many at a time.
/// Exceptions are ignored.
using OnConnection = std::function<void(UniqueFd)>;

/// Returns the shims that joined later. Called in the keeper itself when every known shim has exited. An
/// exception means none.
using FindShims = std::function<std::vector<ProcessIdentity>()>;

struct KeeperCallbacks {
  OnChange on_change = {};
  OnConnection on_connection = {};
  FindShims find_shims = {};
};

/// A VM that was being started when husk was killed: nobody knows its processes yet, and nobody
/// else will end it. The keeper kills it as soon as it is found.
struct AbandonedVm {
  /// Its hypervisor; called in the keeper.
  std::function<std::optional<ProcessIdentity>()> find = {};
  std::filesystem::path directory = {};  ///< the VM's: with it goes what there is to look for
};

struct KeeperDuties {
  AbandonedVm abandoned = {};
  KeeperCallbacks callbacks = {};
};

}  // namespace husk::guestcomm
