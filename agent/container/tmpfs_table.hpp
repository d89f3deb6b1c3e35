// SPDX-License-Identifier: Apache-2.0
// The tmpfs mounts of the guest that containers share, by the names that the host gives them
// (protocol/shared_tmpfs.hpp).
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "lib/guestcomm/protocol/shared_tmpfs.hpp"

namespace husk::agent {

/// A tmpfs that is mounted in the agent's mount namespace, on a directory of its own: a container that is made
/// meanwhile can bind it. Unmounted on destruction; the mounts of containers stay.
class GuestTmpfs {
 public:
  /// Throws system.
  GuestTmpfs(std::filesystem::path place, const std::vector<std::string>& options);
  GuestTmpfs(const GuestTmpfs&) = delete;
  GuestTmpfs& operator=(const GuestTmpfs&) = delete;
  ~GuestTmpfs();
  const std::filesystem::path& place() const noexcept { return place_; }

 private:
  std::filesystem::path place_;
};

class TmpfsTable {
 public:
  /// directory: where they are mounted; is made when needed.
  explicit TmpfsTable(std::filesystem::path directory) : directory_(std::move(directory)) {}
  /// The tmpfs of that name, which is made if no container has it. Throws system.
  std::shared_ptr<const GuestTmpfs> use(const guestcomm::SharedTmpfs& wanted);

 private:
  std::filesystem::path directory_;
  std::map<std::string, std::weak_ptr<const GuestTmpfs>> known_;
  std::map<std::string, std::shared_ptr<const GuestTmpfs>> kept_;
};

}  // namespace husk::agent
