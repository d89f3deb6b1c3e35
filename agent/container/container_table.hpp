// SPDX-License-Identifier: Apache-2.0
// All containers of this guest, by id.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "agent/container/container.hpp"
#include "lib/guestcomm/protocol/container_messages.hpp"
#include "lib/guestcomm/protocol/process_messages.hpp"

namespace husk::agent {

inline constexpr std::size_t max_containers = 256;

class ContainerTable {
 public:
  ContainerTable(EventLoop& loop, std::filesystem::path cgroup_parent, Notify notify);

  // Each throws Error, or answers `reply` later; never both.
  void create(ContainerSetup setup, Reply reply);
  void create_process(const guestcomm::ProcessRef& process, ExecSetup setup, Reply reply);
  void start(const guestcomm::ProcessRef& process, Reply reply);
  void resize(const guestcomm::ResizeTerminal& request);
  void signal(const guestcomm::SignalProcess& request);
  void pause(const std::string& id, Reply paused);
  void resume(const std::string& id);
  void update(const guestcomm::UpdateContainer& request);
  guestcomm::ContainerStatistics statistics(const std::string& id);
  void watch(const std::string& id, ConnectionId watcher);
  /// The connection gets process_exited, even if the process has ended already.
  void own(const guestcomm::ProcessRef& process, ConnectionId connection);
  void lend(const guestcomm::ProcessRef& process, ConnectionId connection);
  void list(const std::string& id, const Reply& reply);  ///< its processes
  void remove(const std::string& id, Reply reply);

  /// Kills what it owned.
  void connection_closed(ConnectionId connection) noexcept;
  /// Collects every child that ended, known or not.
  void reap();
  bool has_running() const;
  /// The connection that owns the first process of a container that runs; empty: there is none.
  std::optional<ConnectionId> owner_of_first() const;
  /// The settings below /proc/sys/net, of the guest's one network, that any container sets.
  std::set<std::string> network_sysctls() const;

 private:
  struct Entry {
    std::unique_ptr<Container> container;
    std::vector<Reply> removed;  ///< of those who wait until it can be deleted
  };
  Entry& find(const std::string& id);
  void handle_exit(pid_t pid, int status);
  void handle_stopped(const std::string& id);
  void erase_later(const std::string& id);
  void let_go_of(const std::string& id, const std::function<void()>& gone);

  EventLoop& loop_;
  std::filesystem::path cgroup_parent_;
  Notify notify_;
  std::map<std::string, Entry> entries_;
  bool had_containers_ = false;
};

}  // namespace husk::agent
