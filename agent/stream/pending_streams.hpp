// SPDX-License-Identifier: Apache-2.0
// Stream connections that wait for the container they belong to.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "agent/loop/event_loop.hpp"
#include "agent/request/secret.hpp"
#include "agent/request/strangers.hpp"
#include "lib/base/unique_fd.hpp"

namespace husk::agent {

class PendingStreams {
 public:
  static constexpr std::size_t max_streams = 4096;
  static constexpr std::size_t max_unnamed = 16;  ///< of root's, without a header
  /// Long enough for a host that starts many VMs at once; only the host connects.
  static constexpr std::chrono::seconds header_patience{30}, lifetime{60};

  PendingStreams(EventLoop& loop, Secret secret) : loop_(loop), secret_(std::move(secret)) {}
  PendingStreams(const PendingStreams&) = delete;
  PendingStreams& operator=(const PendingStreams&) = delete;
  ~PendingStreams();

  /// Whether a connection of root's would be served.
  bool has_room() const;
  /// Reads its header line; closed without one, with a bad one, with a wrong secret, with a token
  /// in use, or when there are too many. One of anybody's closes the oldest without a header, if there are too many.
  void adopt(UniqueFd connection, Caller caller);

  /// For connections that are still to say it.
  void change_secret(const Secret& secret) { secret_ = secret; }

  bool contains(const std::string& token) const { return find(token) != connections_.end(); }
  /// Gives the connection away. Throws not_found.
  UniqueFd claim(const std::string& token);

 private:
  struct Connection {
    UniqueFd socket;
    std::string header;  ///< as far as received
    std::string token;   ///< once the header is complete
    EventLoop::TimerId expiry;
    EventLoop::Watch watch;  ///< until the header is complete
  };
  using Id = std::uint64_t;
  using Connections = std::map<Id, Connection>;

  Connections::const_iterator find(const std::string& token) const;
  void read_header(Id id);
  bool accept_header(Id id, Connection& connection);
  void make_room();
  void drop(Id id) noexcept;

  EventLoop& loop_;
  Secret secret_;
  Connections connections_;
  Strangers strangers_{max_unnamed};
  Id next_id_ = 1;
};

struct StreamHeader {
  std::string secret, token;
};
/// "HUSK-STREAM <secret> <token>\n", each 32 lower-case hex digits; empty if it is anything else.
std::optional<StreamHeader> parse_stream_header(const std::string& header);

}  // namespace husk::agent
