// SPDX-License-Identifier: Apache-2.0
#include "lib/guestcomm/link/agent_client.hpp"

#include <poll.h>

#include <optional>
#include <string_view>

#include "lib/base/deadline.hpp"
#include "lib/base/error.hpp"
#include "lib/base/text.hpp"
#include "lib/base/time.hpp"
#include "lib/guestcomm/protocol/connections.hpp"
#include "lib/guestcomm/protocol/frame.hpp"
#include "lib/guestcomm/protocol/vm_messages.hpp"

namespace husk::guestcomm {
namespace {

struct Opening {
  std::string token;
  std::optional<GuestConnection> connection;  ///< empty: lost
  UniqueFd socket;
};

void await_stream(int socket, const Deadline& deadline) {
  // Exactly these bytes: what follows already belongs to the stream.
  const std::string answer = receive_before(socket, stream_answer.size(), deadline);
  if (answer.empty()) throw Error(Errc::peer_lost, "the guest agent did not accept the connection");
  if (answer != stream_answer) throw Error(Errc::invalid_argument, "answered " + quote(answer));
}

/// Opens streams in steps, each for all of them, so that all are under way at once. A step passes over a stream that is
/// lost already.
class StreamOpener {
 public:
  StreamOpener(const GuestAccess& guest, const Deadline& deadline)
      : guest_(guest), deadline_(deadline) {}

  void begin(Opening& opening) const {
    unless_crowded_out(opening, [&] { connect(opening, first_source(guest_.address)); });
  }
  void send_header(Opening& opening) const {
    if (opening.connection) unless_crowded_out(opening, [&] { introduce(opening); });
  }
  void await_answer(Opening& opening) const {
    if (opening.connection)
      unless_crowded_out(opening, [&] { await_stream(opening.socket.get(), deadline_); });
  }
  /// Opens a lost one. Its token is free: the agent drops no stream whose header it has accepted.
  void open_again(Opening& opening) const {
    if (opening.connection) return;
    reach_privileged([&](SourcePort source) {
      connect(opening, source);
      introduce(opening);
      await_stream(opening.socket.get(), deadline_);
    });
  }

 private:
  template <typename Action>
  void unless_crowded_out(Opening& opening, Action&& action) const {
    try {
      action();
    } catch (const Error& lost) {
      if (!is_crowded_out(guest_.address, lost)) throw;
      opening.connection.reset();
    }
  }
  void connect(Opening& opening, SourcePort source) const {
    opening.connection.emplace(guest_.address, stream_port, deadline_, source);
  }
  void introduce(Opening& opening) const {
    opening.socket = opening.connection.value().finish();
    const std::string header =
        std::string(stream_header_start) + guest_.secret + " " + opening.token + "\n";
    send_before(opening.socket.get(), header, deadline_);
  }

  const GuestAccess& guest_;
  Deadline deadline_;
};

}  // namespace

using std::chrono::milliseconds;

AgentClient::AgentClient(const GuestAccess& guest, milliseconds patience, ErrorWords words,
                         const ProtocolRange& protocols)
    : patience_(patience), words_(words) {
  reach_guest(guest.address, [&](SourcePort source) {
    socket_ = connect_guest(guest.address, control_port, patience, source);
    const Hello answer = call(Hello{.protocols = protocols,
                                    .version = HUSK_VERSION,
                                    .secret = guest.secret,
                                    .host_time_us = wall_clock_us()},
                              patience);
    protocol_ = agree(answer.protocols, protocols);
  });
}

std::string AgentClient::describe_call(std::string_view method) {
  return "guest agent: " + std::string(method);
}

std::int64_t AgentClient::send(std::string_view method, const nlohmann::json& params,
                               const Deadline& deadline) {
  const std::int64_t id = next_id_++;
  const std::string payload =
      encode(Request{.id = id, .method = std::string(method), .params = params});
  step(describe_call(method), [&] { write_frame(socket_.get(), payload, deadline); });
  return id;
}

nlohmann::json AgentClient::receive(std::string_view method, std::int64_t id,
                                    const Deadline& deadline) {
  Response response = step(describe_call(method), [&] { return await_response(id, deadline); });
  if (const auto* error = std::get_if<Error>(&response.outcome))
    throw words_ == ErrorWords::for_callers ? refusal(std::string(method), *error) : *error;
  return std::get<nlohmann::json>(std::move(response.outcome));
}

Response AgentClient::await_response(std::int64_t id, const Deadline& deadline) {
  const std::optional<std::string> frame = read_frame(socket_.get(), deadline, max_guest_bytes);
  if (!frame) throw Error(Errc::peer_lost, "connection closed");
  // They are for owners of processes, and for who watches a container: after that nothing is called.
  if (is_request(*frame)) throw Error(Errc::invalid_argument, "unexpected notification");
  Response response = decode_response(*frame);
  if (response.id != id) throw Error(Errc::invalid_argument, "response with the wrong id");
  return response;
}

std::optional<ContainerEvent> AgentClient::next_event(milliseconds patience) {
  pollfd ready{socket_.get(), POLLIN, 0};
  const int count = ::poll(&ready, 1, static_cast<int>(patience.count()));
  if (count < 0 && errno != EINTR) throw_errno("poll");
  if (count <= 0) return std::nullopt;
  return step(describe_call(ContainerEvent::method), [&] {
    // A message that has begun is complete in a moment, or the guest is hostile.
    const auto frame = read_frame(socket_.get(), Deadline(patience_), max_guest_bytes);
    if (!frame) throw Error(Errc::peer_lost, "connection closed");
    const Request event = decode_request(*frame);
    if (event.id || !event.is<ContainerEvent>())
      throw Error(Errc::invalid_argument, "unexpected message");
    return std::optional(event.params.get<ContainerEvent>());
  });
}

Stdio<UniqueFd> open_streams(const GuestAccess& guest, StreamTokens tokens, milliseconds patience) {
  const Deadline deadline(patience);
  const StreamOpener opener(guest, deadline);
  Stdio<Opening> openings = with_each_end(tokens, [](const std::string& token) {
    return Opening{token, {}, {}};
  });
  const auto each = [&](auto&& action) {
    for_each_end(openings, [&](const char*, Opening& opening) { action(opening); });
  };
  each([&](Opening& one) { opener.begin(one); });
  step("open a stream of the guest", [&] {
    each([&](Opening& one) { opener.send_header(one); });
    each([&](Opening& one) { opener.await_answer(one); });
    each([&](Opening& one) { opener.open_again(one); });
  });
  return with_each_end(openings, [](Opening& opening) { return std::move(opening.socket); });
}

}  // namespace husk::guestcomm
