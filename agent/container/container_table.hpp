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

namespace husk::agent {

inline constexpr std::size_t max_containers = 256;

class ContainerTable {
 public:
  ContainerTable(EventLoop& loop, std::filesystem::path cgroup_parent, Notify notify);

  /// Throws Error, or answers `reply` later; never both.
  Container& create(ContainerSetup setup, Reply reply);
  Container& find(const std::string& id);  ///< throws not_found "container does not exist"
  /// Throws Error, or answers `reply` later, when the guest has nothing of the container any more.
  void remove(const std::string& id, Reply reply);

  /// Kills what it owned.
  void connection_closed(ConnectionId connection) noexcept;
  /// Collects every child that ended, known or not.
  void reap();
  /// The connection that owns the first process of a container that runs; empty: there is none.
  std::optional<ConnectionId> owner_of_first() const;
  /// The settings below /proc/sys/net, of the guest's one network, that any container sets.
  std::set<std::string> network_sysctls() const;

 private:
  struct Entry {
    std::unique_ptr<Container> container;
    std::vector<Reply> removed;  ///< of those who wait until it can be deleted
    bool waits = false;          ///< its first process, until no volume is being unmounted
  };
  Entry& entry_of(const std::string& id);
  void handle_exit(pid_t pid, int status);
  void handle_stopped(const std::string& id);
  void erase_later(const std::string& id);
  void let_go_of(const std::string& id, const std::function<void()>& gone);
  std::vector<std::string> sources_in_use() const;
  void end_letting_go() noexcept;

  EventLoop& loop_;
  std::filesystem::path cgroup_parent_;
  Notify notify_;
  NamespaceTable namespaces_;
  TmpfsTable tmpfs_{"/run/husk/tmpfs"};
  std::map<std::string, Entry> entries_;
  bool had_containers_ = false;
  int letting_go_ = 0;  ///< helper processes that unmount the host's files
};

}  // namespace husk::agent
