// SPDX-License-Identifier: Apache-2.0
// The tmpfs mounts of the guest that containers share, by the names that the host gives them
// (protocol/shared_tmpfs.hpp).
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "lib/guestcomm/protocol/shared_tmpfs.hpp"

namespace husk::agent {

/// A tmpfs, or a part of one, that is mounted in the agent's mount namespace on a place of its own, whose path no
/// container can change: a container that is made meanwhile can bind it. Unmounted on destruction; the mounts of
/// containers stay.
class GuestTmpfs {
 public:
  /// Makes the tmpfs. Throws system.
  GuestTmpfs(std::filesystem::path place, const std::vector<std::string>& options);
  /// Makes the part if nothing is there; whatever is there, a file as well, is the part. Throws system.
  GuestTmpfs(std::filesystem::path place, std::shared_ptr<const GuestTmpfs> whole,
             const guestcomm::TmpfsPart& part);
  GuestTmpfs(const GuestTmpfs&) = delete;
  GuestTmpfs& operator=(const GuestTmpfs&) = delete;
  ~GuestTmpfs();
  const std::filesystem::path& place() const noexcept { return place_; }

 private:
  std::filesystem::path place_;
  std::shared_ptr<const GuestTmpfs> whole_;  ///< of a part
};

class TmpfsTable {
 public:
  /// directory: where they are mounted; is made when needed.
  explicit TmpfsTable(std::filesystem::path directory) : directory_(std::move(directory)) {}
  /// The tmpfs of that name, which is made if no container has it, or the wanted part of the tmpfs. Throws system.
  std::shared_ptr<const GuestTmpfs> use(const guestcomm::SharedTmpfs& wanted);

 private:
  std::shared_ptr<const GuestTmpfs> use_whole(const guestcomm::SharedTmpfs& wanted);

  std::filesystem::path directory_;
  std::uint64_t parts_ = 0;  ///< for the names of their places
  std::map<std::string, std::weak_ptr<const GuestTmpfs>> known_;
  std::map<std::string, std::shared_ptr<const GuestTmpfs>> kept_;
};

}  // namespace husk::agent
