// SPDX-License-Identifier: Apache-2.0
// All containers of this guest: by id, with who owns them.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "agent/container.hpp"
#include "lib/guestcomm/messages.hpp"

namespace husk::agent {

using ConnectionId = std::uint64_t;
inline constexpr std::size_t max_containers = 256;

class ContainerTable {
 public:
  /// `notify` carries container_exited to the connection that owns the container.
  using Notify = std::function<void(ConnectionId, const guestcomm::ContainerExited&)>;
  ContainerTable(EventLoop& loop, std::filesystem::path cgroup_parent, Notify notify);

  // Each throws Error, or answers `reply` later; never both.
  void create(ContainerSetup setup, Reply reply);
  void start(const std::string& id, Reply reply);
  void signal(const guestcomm::SignalContainer& request);
  /// The connection gets container_exited, even if the container has ended already.
  void own(const std::string& id, ConnectionId connection);
  void remove(const std::string& id, Reply reply);

  /// Kills the containers it owned.
  void connection_closed(ConnectionId connection) noexcept;
  /// Collects every child that ended, known or not.
  void reap();
  bool has_running() const;

 private:
  struct Entry {
    std::unique_ptr<Container> container;
    std::optional<ConnectionId> owner;
    bool exit_told = false;
    std::vector<Reply> removed;  ///< of those who wait until it can be deleted
  };
  Entry& find(const std::string& id);
  void handle_exit(pid_t pid, int status);
  void handle_stopped(const std::string& id);
  void tell_exit(Entry& entry);
  void erase_later(const std::string& id);

  EventLoop& loop_;
  std::filesystem::path cgroup_parent_;
  Notify notify_;
  std::map<std::string, Entry> entries_;
};

}  // namespace husk::agent
