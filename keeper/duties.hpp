// SPDX-License-Identifier: Apache-2.0
// The work that the keeper leaves to husk (husk_commands.hpp), or in a test to a function.
#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <vector>

#include "lib/base/process.hpp"
#include "lib/base/unique_fd.hpp"

namespace husk::keeper {

/// Called after `changes` told something and was quiet for 100 ms: in a child of the keeper, never twice
/// at a time. Exceptions are ignored.
using OnChange = std::function<void()>;

/// Serves a connection that `listener` accepted, in a child of the keeper, many at a time. Exceptions
/// are ignored.
using OnConnection = std::function<void(UniqueFd)>;

/// Has the host's kernel count a kill for want of memory in the container: in a child of the keeper, never twice at a
/// time. Exceptions are ignored.
using OnKill = std::function<void(const std::string& container)>;

/// Has the guest's clock follow the host's: in a child of the keeper, never twice at a time. An exception, or another exit
/// status than 0: is done again sooner.
using OnClock = std::function<void()>;

/// Has the pool filled again, out of which a container has taken the VM: once, in a child of the keeper.
using OnClaimed = std::function<void()>;

/// Returns the shims of the containers that joined later. Called in the keeper itself when every known
/// shim has exited. An exception means none.
using FindShims = std::function<std::vector<ProcessIdentity>()>;

/// Whether the pod is there whose VM goes on without a container. Called in the keeper itself, once a second while
/// no shim runs. An exception means no, unless it
/// tells of a shortage: ENOMEM, EMFILE, ENFILE.
using IsPodThere = std::function<bool()>;

/// Ends a VM that was being started when husk was killed: nobody knows the VM's processes yet, and
/// nobody else will end them.
using EndAbandoned = std::function<void()>;

/// How long the keeper waits for others.
struct Patience {
  using Limit = std::chrono::milliseconds;
  Limit power_off = std::chrono::seconds{5};  ///< for the guest, after its last shim
  Limit helper = std::chrono::seconds{2};     ///< for virtiofsd, after QEMU
};

struct Duties {
  OnChange on_change = {};
  OnConnection on_connection = {};
  OnKill on_kill = {};
  OnClock on_clock = {};
  OnClaimed on_claimed = {};
  FindShims find_shims = {};
  IsPodThere is_pod_there = {};  ///< empty: the VM ends after its last shim
  EndAbandoned end_abandoned = {};
  Patience patience = {};
};

}  // namespace husk::keeper
