// SPDX-License-Identifier: Apache-2.0
// The state folder: <root>/<id>/state.json, one directory a container.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "lib/base/unique_fd.hpp"
#include "lib/runtime/container_record.hpp"

namespace husk::runtime {

/// A container's directory that was just made: removed again unless kept. Holds the container's
/// lock.
class StateDir {
 public:
  StateDir(std::filesystem::path path, UniqueFd lock)
      : path_(std::move(path)), lock_(std::move(lock)) {}
  StateDir(StateDir&&) noexcept = default;
  StateDir& operator=(StateDir&&) = delete;
  StateDir(const StateDir&) = delete;
  StateDir& operator=(const StateDir&) = delete;
  ~StateDir();
  void save(const ContainerRecord& record) const;  ///< atomically
  void keep() noexcept { keep_ = true; }

 private:
  std::filesystem::path path_;
  UniqueFd lock_;
  bool keep_ = false;
};

class StateStore {
 public:
  explicit StateStore(std::filesystem::path root) : root_(std::move(root)) {}

  /// Makes the directory. Throws already_exists "container with given ID already exists".
  StateDir reserve(const std::string& id) const;
  /// Throws not_found "container does not exist".
  ContainerRecord load(const std::string& id) const;
  void save(const ContainerRecord& record) const;
  void remove(const std::string& id) const;  ///< fine if there is none
  bool exists(const std::string& id) const;
  std::vector<std::string> ids() const;  ///< sorted; every directory with a state file

  /// The container's lock, for commands that change its state. Held until the descriptor closes.
  /// Empty: another command has held it for longer than 10 s. Throws not_found.
  std::optional<UniqueFd> lock(const std::string& id) const;
  bool is_locked(const std::string& id) const;  ///< a command is at work on it

 private:
  std::filesystem::path directory(const std::string& id) const { return root_ / id; }
  std::filesystem::path root_;
};

}  // namespace husk::runtime
