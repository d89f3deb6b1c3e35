// SPDX-License-Identifier: Apache-2.0
// The accepted connections of a server whose callers have not said the VM's secret yet.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <set>

namespace husk::agent {

/// The users of the host who could have made a connection. `root`: root alone, since the source port is below 1024, or
/// since other users cannot reach the guest. `anybody`: every user.
enum class Caller { root, anybody };

/// Counts root's connections and anybody's apart, so that no number of the latter keeps root out. Root's wait until there
/// is room. Of anybody's the oldest makes room.
class Strangers {
 public:
  static constexpr std::size_t max_of_anybody = 256;

  explicit Strangers(std::size_t max_of_root) : max_of_root_(max_of_root) {}

  /// Ids go up.
  void add(std::uint64_t id, Caller caller) {
    (caller == Caller::root ? root_ : anybody_).insert(id);
  }
  /// Forgets a connection that has said the secret, or has ended. Does nothing for an unknown id.
  void forget(std::uint64_t id) noexcept {
    root_.erase(id);
    anybody_.erase(id);
  }
  bool contains(std::uint64_t id) const { return root_.contains(id) || anybody_.contains(id); }
  std::size_t size() const noexcept { return root_.size() + anybody_.size(); }

  /// Whether one more of root's may come.
  bool has_room() const noexcept { return root_.size() < max_of_root_; }
  /// The connection that has to go before one more of anybody's may come; empty while there is room.
  std::optional<std::uint64_t> oldest_in_the_way() const {
    if (anybody_.size() < max_of_anybody) return std::nullopt;
    return *anybody_.begin();
  }

 private:
  std::size_t max_of_root_;
  std::set<std::uint64_t> root_, anybody_;
};

}  // namespace husk::agent
