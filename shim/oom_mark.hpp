// SPDX-License-Identifier: Apache-2.0
// The file "oom" in the bundle, by which Podman and CRI-O know that a container was killed for want of memory.
// conmon makes it for a container of the host's, whose cgroup tells.
#pragma once

#include "lib/base/allowed_system_calls.hpp"
#include "lib/base/unique_fd.hpp"

namespace husk::shim {

class OomMark {
 public:
  /// bundle: a copy of its mount, attached nowhere, from which ".." leads nowhere; empty: nobody looks for the
  /// file.
  explicit OomMark(UniqueFd bundle) : bundle_(std::move(bundle)) {}
  /// Allows make() what it needs: making an empty file in that directory, and no other call.
  void allow(AllowedSystemCalls& filter) const;
  /// Makes the file, unless it is there. Call it before the shim exits.
  void make() const noexcept;

 private:
  UniqueFd bundle_;
};

}  // namespace husk::shim
