// SPDX-License-Identifier: Apache-2.0
// How the host learns that the guest's kernel has killed a process of the container for want of memory: by the file "oom" in
// the bundle, which Podman and CRI-O look for, and by the host's own count of kills, which Docker and containerd look at.
// conmon makes the file, and the host's kernel counts, for a container of the host's.
#pragma once

#include <chrono>
#include <string>

#include "lib/base/allowed_system_calls.hpp"
#include "lib/base/unique_fd.hpp"

namespace husk::shim {

class OomMark {
 public:
  /// bundle: a copy of its mount, attached nowhere, from which ".." leads nowhere; empty: nobody looks for the
  /// file. kills: connected to the socket of the VM's keeper, who has the kill counted for the cgroup of `container`; empty:
  /// the keeper is an older one.
  explicit OomMark(UniqueFd bundle, UniqueFd kills = {}, std::string container = {})
      : bundle_(std::move(bundle)), kills_(std::move(kills)), container_(std::move(container)) {}
  /// Allows make() what it needs beside what the shim has: making an empty file in that directory, and no other call.
  void allow(AllowedSystemCalls& filter) const;
  /// Makes the file, unless it is there, and tells the keeper.
  void make() noexcept;
  /// Makes the file and tells the keeper unless make() ever did, and waits for the keeper's answer, so long at most. Call
  /// it before the shim exits: its cgroup goes then.
  void make_last(std::chrono::milliseconds patience) noexcept;

 private:
  UniqueFd bundle_, kills_;
  std::string container_;
  unsigned unanswered_ = 0;
  bool was_made_ = false;
};

}  // namespace husk::shim
