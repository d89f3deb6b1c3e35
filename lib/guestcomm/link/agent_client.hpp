// SPDX-License-Identifier: Apache-2.0
// The host's view of the agent: one control connection.
#pragma once

#include <chrono>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "lib/base/deadline.hpp"
#include "lib/base/error.hpp"
#include "lib/base/unique_fd.hpp"
#include "lib/guestcomm/link/guest_address.hpp"
#include "lib/guestcomm/link/guest_words.hpp"
#include "lib/guestcomm/protocol/protocol_range.hpp"
#include "lib/guestcomm/protocol/rpc.hpp"
#include "lib/guestcomm/protocol/statistics.hpp"
#include "lib/guestcomm/protocol/stdio.hpp"

namespace husk::guestcomm {

class AgentClient {
 public:
  /// Connects and exchanges hello. `protocols`: those that the host speaks. Throws peer_lost, timed_out, or unsupported
  /// "the guest agent speaks protocol 1 to 2, the host 3 to 5", if they share none.
  AgentClient(const GuestAccess& guest, std::chrono::milliseconds patience,
              ErrorWords words = ErrorWords::for_callers,
              const ProtocolRange& protocols = own_protocols);

  /// The protocol of this connection, for a host that has to ask an older agent otherwise.
  int protocol() const noexcept { return protocol_; }

  /// Sends a request (lib/guestcomm/protocol) and returns its result, in `patience` in all. Throws peer_lost,
  /// timed_out, invalid_argument for an answer that is malformed, and an error that the agent answers: with its
  /// code, in the words of refusal() (guest_words.hpp). Of the agent's text at most 4 KiB are taken, without
  /// control characters.
  template <class Message>
  typename Message::Result call(const Message& request, std::chrono::milliseconds patience) {
    return begin(request, patience).finish();
  }

  /// A request that was sent, and whose answer is taken by finish(), once. The client calls nothing else meanwhile, and
  /// outlives it.
  template <class Message>
  class Call {
   public:
    typename Message::Result finish() {
      const nlohmann::json result = client_.receive(Message::method, id_, deadline_);
      return step(describe_call(Message::method),
                  [&] { return result.template get<typename Message::Result>(); });
    }

   private:
    friend class AgentClient;
    Call(AgentClient& client, std::int64_t id, const Deadline& deadline)
        : client_(client), id_(id), deadline_(deadline) {}
    AgentClient& client_;
    std::int64_t id_;
    Deadline deadline_;
  };

  /// call() in two steps, for a caller that has other work while the guest has its own. `patience` is for both.
  template <class Message>
  Call<Message> begin(const Message& request, std::chrono::milliseconds patience) {
    // One for all of it: the guest may be stuck, or hostile.
    const Deadline deadline(patience);
    return {*this, send(Message::method, request, deadline), deadline};
  }

  /// After WatchContainer nothing is called any more, but this: empty if nothing came in `patience`.
  /// Throws peer_lost when the guest has ended.
  std::optional<ContainerEvent> next_event(std::chrono::milliseconds patience);

  /// Gives the connection away (for the shim), after hello, with nothing under way.
  UniqueFd release() { return std::move(socket_); }

 private:
  static std::string describe_call(std::string_view method);
  /// Returns the id of the request.
  std::int64_t send(std::string_view method, const nlohmann::json& params,
                    const Deadline& deadline);
  nlohmann::json receive(std::string_view method, std::int64_t id, const Deadline& deadline);
  Response await_response(std::int64_t id, const Deadline& deadline);
  UniqueFd socket_;
  std::chrono::milliseconds patience_;
  ErrorWords words_;
  int protocol_ = 0;
  std::int64_t next_id_ = 1;
};

/// Opens a stream connection for each token and registers it under that (connections.hpp); all at once,
/// and in `patience` together. Throws peer_lost, timed_out; leaves none open then.
Stdio<UniqueFd> open_streams(const GuestAccess& guest, StreamTokens tokens,
                             std::chrono::milliseconds patience);

}  // namespace husk::guestcomm
