// SPDX-License-Identifier: Apache-2.0
// Has connections that a VM's keeper accepts served in children.
#pragma once

#include <sys/types.h>

#include <map>
#include <vector>

#include "keeper/duties.hpp"
#include "lib/base/unique_fd.hpp"

namespace husk::keeper {

class ConnectionServer {
 public:
  static constexpr std::size_t max_children = 64;  ///< who comes then waits in the kernel's queue

  /// listener: see handoff::KeptProcesses; empty: there is nobody to serve.
  ConnectionServer(UniqueFd listener, OnConnection on_connection)
      : listener_(std::move(listener)), on_connection_(std::move(on_connection)) {}
  ConnectionServer(const ConnectionServer&) = delete;
  ConnectionServer& operator=(const ConnectionServer&) = delete;
  ~ConnectionServer();  ///< ends them

  void add_to(std::vector<int>& watched) const;  ///< what to wait for
  void handle();                                 ///< once something is ready

 private:
  void reap();
  void serve(UniqueFd connection);

  UniqueFd listener_;
  OnConnection on_connection_;
  std::map<pid_t, UniqueFd> children_;  ///< their pidfds
};

}  // namespace husk::keeper
