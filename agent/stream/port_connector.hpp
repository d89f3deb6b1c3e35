// SPDX-License-Identifier: Apache-2.0
// Connections that processes of the host make to the containers' loopback (connect_port of
// lib/guestcomm/protocol/vm_messages.hpp).
#pragma once

#include <cstdint>
#include <map>
#include <memory>

#include "agent/loop/event_loop.hpp"
#include "agent/request/request.hpp"
#include "lib/base/unique_fd.hpp"

namespace husk::agent {

class PortConnector {
 public:
  static constexpr std::size_t max_connections = 256;
  static constexpr std::chrono::seconds patience{5};  ///< of connecting, where a queue is full

  /// The host's two streams, one for each direction.
  struct Streams {
    UniqueFd to_container, from_container;
  };

  explicit PortConnector(EventLoop& loop);
  PortConnector(const PortConnector&) = delete;
  PortConnector& operator=(const PortConnector&) = delete;
  ~PortConnector();

  /// Connects to 127.0.0.1, and if nobody listens there to ::1, and answers `reply`: done, or
  /// not_found "port 80: connection refused". Throws wrong_state when there are too many.
  void connect(std::uint16_t port, Streams streams, const Reply& reply);

 private:
  class Connection;
  void end(std::uint64_t id);

  EventLoop& loop_;
  std::map<std::uint64_t, std::unique_ptr<Connection>> connections_;
  std::uint64_t next_id_ = 1;
};

}  // namespace husk::agent
