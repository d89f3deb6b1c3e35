// SPDX-License-Identifier: Apache-2.0
#include "lib/guestcomm/agent_client.hpp"

#include <sys/socket.h>
#include <sys/time.h>

#include <string_view>

#include "lib/base/error.hpp"
#include "lib/base/files.hpp"
#include "lib/guestcomm/frame.hpp"

namespace husk::guestcomm {
namespace {

using std::chrono::milliseconds;

/// Bounds each read and write: the guest may be stuck, or hostile.
void limit_patience(int socket, milliseconds patience) {
  timeval limit{};
  limit.tv_sec = patience.count() / 1000;
  limit.tv_usec = patience.count() % 1000 * 1000;
  for (const int option : {SO_RCVTIMEO, SO_SNDTIMEO}) {
    check_sys(::setsockopt(socket, SOL_SOCKET, option, &limit, sizeof limit), "setsockopt");
  }
}

}  // namespace

AgentClient::AgentClient(const GuestAccess& guest, milliseconds patience)
    : socket_(connect_guest(guest.address, control_port, patience)), patience_(patience) {
  const Hello answer =
      call("hello", Hello{.version = HUSK_VERSION, .secret = guest.secret}, patience).get<Hello>();
  if (answer.protocol != protocol_version) {
    throw Error(Errc::unsupported, "the guest agent speaks protocol " +
                                       std::to_string(answer.protocol) + ", this husk speaks " +
                                       std::to_string(protocol_version));
  }
}

nlohmann::json AgentClient::call(const std::string& method, const nlohmann::json& params,
                                 milliseconds patience) {
  limit_patience(socket_.get(), patience);
  const std::int64_t id = next_id_++;
  const std::string payload = encode(Request{.id = id, .method = method, .params = params});
  Response response = step("guest agent: " + method, [&] {
    write_frame(socket_.get(), payload);
    return await_response(id);
  });
  if (response.error) throw Error(*response.error);  // the agent's own words, without a prefix
  return std::move(response.result);
}

Response AgentClient::await_response(std::int64_t id) {
  for (;;) {
    const std::optional<std::string> frame = read_frame(socket_.get());
    if (!frame) throw Error(Errc::peer_lost, "connection closed");
    if (is_request(*frame)) continue;  // a notification for a connection that owns a container
    Response response = decode_response(*frame);
    if (response.id == id) return response;
    throw Error(Errc::invalid_argument, "answer to another question");
  }
}

void AgentClient::create_container(const CreateContainer& request, milliseconds patience) {
  call("create_container", request, patience);
}
void AgentClient::start_container(const std::string& id) {
  call("start_container", ContainerId{id}, patience_);
}
void AgentClient::signal_container(const SignalContainer& request) {
  call("signal_container", request, patience_);
}
void AgentClient::delete_container(const std::string& id) {
  call("delete_container", ContainerId{id}, patience_);
}

UniqueFd open_stream(const GuestAccess& guest, const std::string& token, milliseconds patience) {
  UniqueFd socket = connect_guest(guest.address, stream_port, patience);
  limit_patience(socket.get(), patience);
  write_all(socket.get(), "HUSK-STREAM " + guest.secret + " " + token + "\n");
  char answer[3];
  std::size_t got = 0;
  // Exactly the three bytes: what follows already belongs to the stream.
  while (got < sizeof answer) {
    const ssize_t n = ::recv(socket.get(), answer + got, sizeof answer - got, 0);
    if (n <= 0) throw Error(Errc::peer_lost, "the guest agent did not take the stream connection");
    got += static_cast<std::size_t>(n);
  }
  if (std::string_view(answer, sizeof answer) != "OK\n") {
    throw Error(Errc::invalid_argument, "the guest agent answered a stream connection wrongly");
  }
  limit_patience(socket.get(), milliseconds{0});  // streams may stay idle for ever
  return socket;
}

}  // namespace husk::guestcomm
