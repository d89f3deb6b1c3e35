// SPDX-License-Identifier: Apache-2.0
// The state folder: <root>/<id>/state.json, one directory a container.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "lib/base/directory_lock.hpp"
#include "lib/runtime/record/container_record.hpp"

namespace husk::runtime {

/// A container's directory that was just made: removed again unless kept. Holds the container's
/// lock.
class StateDir {
 public:
  StateDir(std::filesystem::path path, DirectoryLock lock)
      : path_(std::move(path)), lock_(std::move(lock)) {}
  StateDir(const StateDir&) = delete;
  StateDir& operator=(const StateDir&) = delete;
  ~StateDir();
  /// Atomically. Throws invalid_argument for a record too large to be loaded again.
  void save(const ContainerRecord& record) const;
  void keep(bool keep = true) noexcept { keep_ = keep; }

 private:
  std::filesystem::path path_;
  DirectoryLock lock_;
  bool keep_ = false;
};

struct KnownContainer {
  ContainerRecord record;
  ContainerState state = ContainerState::stopped;
};

class StateStore {
 public:
  explicit StateStore(std::filesystem::path root) : root_(std::move(root)) {}

  const std::filesystem::path& root() const noexcept { return root_; }
  /// Held while a pod's first VM is looked for and made: two containers of one pod are created by two commands.
  /// Makes the root where it is missing. Throws timed_out.
  DirectoryLock lock_root() const;

  /// Makes the directory. Throws invalid_argument when others than this process's user may write to
  /// the root, already_exists "container with given ID already exists".
  StateDir reserve(const std::string& id) const;
  /// Throws not_found "container does not exist", invalid_argument for a record that others could
  /// have written.
  ContainerRecord load(const std::string& id) const;
  /// For commands that do not hold the lock.
  KnownContainer load_with_state(const std::string& id) const;
  /// The same, where the state allows the command. Throws wrong_state (check_allowed) otherwise.
  ContainerRecord load_for(Command command, const std::string& id) const;
  /// What clean-up needs of a record that load() refuses: another version's, or one with damaged
  /// fields. Empty: create had not come so far as to write one. Throws invalid_argument for a file
  /// that is no JSON object: what runs is then unknown.
  std::optional<LeftOvers> load_left_overs(const std::string& id) const;
  void save(const ContainerRecord& record) const;
  /// Is called before `delete --force` ends what a record names and removes its directory: throws
  /// invalid_argument, naming what is not husk's in it, or as load_left_overs does. Fine if there is
  /// no directory.
  void check_own(const std::string& id) const;
  /// husk's own files and the directory; fine if there is none. Throws invalid_argument, and removes
  /// nothing, when it holds others.
  void remove(const std::string& id) const;
  bool exists(const std::string& id) const;
  std::vector<std::string> ids() const;  ///< sorted; every directory with a state file

  /// The container's lock, for commands that change its state.
  /// Throws not_found, timed_out where another command has held it for longer than 10 s.
  DirectoryLock lock(const std::string& id) const;
  /// As lock(), but takes over what another command has held for too long.
  DirectoryLock lock_by_force(const std::string& id) const;
  /// Ends the command that holds the lock for too long (SIGKILL), and takes the lock over. Throws
  /// not_found when the container went meanwhile, timed_out when it cannot be had.
  DirectoryLock take_lock_over(const std::string& id) const;
  bool is_locked(const std::string& id) const;  ///< a command is at work on it

 private:
  std::filesystem::path directory(const std::string& id) const { return root_ / id; }
  std::filesystem::path root_;
};

}  // namespace husk::runtime
