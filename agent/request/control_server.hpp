// SPDX-License-Identifier: Apache-2.0
// The control connections: frames in, requests to the handler, answers out. Never waits for
// anybody.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>

#include "agent/loop/event_loop.hpp"
#include "agent/request/request.hpp"
#include "agent/request/secret.hpp"
#include "agent/request/strangers.hpp"
#include "lib/guestcomm/protocol/frame.hpp"
#include "lib/guestcomm/protocol/protocol_range.hpp"
#include "lib/guestcomm/protocol/rpc.hpp"

namespace husk::agent {

class ControlServer {
 public:
  /// Every process that the host runs in the guest holds one.
  static constexpr std::size_t max_connections = 4096;
  static constexpr std::size_t max_ungreeted = 8;  ///< of root's (Strangers)
  /// A peer that does not read is dropped.
  static constexpr std::size_t max_unsent_bytes = 4u << 20;
  static constexpr std::chrono::seconds hello_patience{30};

  struct Handlers {
    /// Throws Error or answers `reply`, now or later, once.
    std::function<void(ConnectionId, const guestcomm::Request&, const Reply& reply)> request;
    std::function<void(ConnectionId)> closed;  ///< of a connection that said hello
    /// Called with each Hello::host_time_us, before the hello is answered.
    std::function<void(std::int64_t)> host_time = {};
  };

  /// `protocols`: those that the agent speaks.
  ControlServer(EventLoop& loop, Secret secret, Handlers handlers,
                guestcomm::ProtocolRange protocols = guestcomm::own_protocols)
      : loop_(loop),
        secret_(std::move(secret)),
        handlers_(std::move(handlers)),
        protocols_(protocols) {}
  ControlServer(const ControlServer&) = delete;
  ControlServer& operator=(const ControlServer&) = delete;
  ~ControlServer();

  /// Whether a connection of root's would be served.
  bool has_room() const;
  /// Closed at once when there is no room. One of anybody's closes the oldest that said no secret, if there are too many.
  void adopt(UniqueFd connection, Caller caller);
  template <class Message>
  void notify(ConnectionId connection, const Message& message) {
    send(connection, guestcomm::encode(guestcomm::make_notification(message)));
  }

  /// For connections that are still to say it.
  void change_secret(const Secret& secret) { secret_ = secret; }

  /// The protocol of a connection that said hello; 0: there is none.
  int protocol_of(ConnectionId connection) const;
  bool was_greeted() const noexcept { return was_greeted_; }  ///< by any connection, ever
  std::size_t greeted_connections() const;

 private:
  struct Connection {
    UniqueFd socket;
    guestcomm::FrameReader reader{guestcomm::max_hello_bytes};
    std::string unsent;
    bool greeted = false, refused = false;
    int protocol = 0;  ///< that the host speaks there, once greeted
    EventLoop::TimerId hello_timer;
    EventLoop::Watch watch;
  };

  void handle_ready(ConnectionId id, std::uint32_t events);
  void receive(ConnectionId id);
  void handle_frames(ConnectionId id);
  void handle_request(ConnectionId id, const guestcomm::Request& request);
  nlohmann::json greet(ConnectionId id, const guestcomm::Request& request);
  void respond(ConnectionId id, const guestcomm::Request& request, const Outcome& outcome);
  void send(ConnectionId id, const std::string& payload);
  bool flush(Connection& connection);
  void watch(ConnectionId id);
  void make_room();
  void close(ConnectionId id);
  void close_soon(ConnectionId id);

  EventLoop& loop_;
  Secret secret_;
  Handlers handlers_;
  guestcomm::ProtocolRange protocols_;
  std::map<ConnectionId, Connection> connections_;
  Strangers strangers_{max_ungreeted};
  ConnectionId next_id_ = 1;
  bool was_greeted_ = false;
};

}  // namespace husk::agent
