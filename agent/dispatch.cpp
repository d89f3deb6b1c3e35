// SPDX-License-Identifier: Apache-2.0
#include "agent/dispatch.hpp"

#include "agent/request_check.hpp"

namespace husk::agent {
namespace {

using guestcomm::CreateContainer;

/// All or none: a wrong token leaves the others waiting.
void check_tokens(const PendingStreams& streams, const guestcomm::Streams& tokens) {
  const auto check = [&](const std::optional<std::string>& token, const char* name) {
    if (token && !streams.contains(*token)) {
      throw Error(Errc::not_found,
                  std::string(name) + ": no stream connection waits with this token");
    }
  };
  check(tokens.stdin_token, "stdin");
  check(tokens.stdout_token, "stdout");
  check(tokens.stderr_token, "stderr");
}

void create(ContainerTable& containers, PendingStreams& streams, CreateContainer request,
            Reply reply) {
  check_create_request(request);
  const guestcomm::Streams& tokens = request.streams;
  check_tokens(streams, tokens);
  const auto claim = [&](const std::optional<std::string>& token) {
    return token ? streams.claim(*token) : UniqueFd{};
  };
  ContainerSetup setup{request.id, {}, {}, {}, {}, {}};
  setup.stdin_fd = claim(tokens.stdin_token);
  setup.stdout_fd = claim(tokens.stdout_token);
  setup.stderr_fd = claim(tokens.stderr_token);
  setup.spec = std::move(request.spec);
  containers.create(std::move(setup), std::move(reply));
}

std::string id_of(const guestcomm::Request& request) {
  return request.params.get<guestcomm::ContainerId>().id;
}

}  // namespace

void dispatch(ContainerTable& containers, PendingStreams& streams, ConnectionId connection,
              const guestcomm::Request& request, Reply reply) {
  if (request.method == "create_container") {
    create(containers, streams, request.params.get<CreateContainer>(), std::move(reply));
  } else if (request.method == "start_container") {
    containers.start(id_of(request), std::move(reply));
  } else if (request.method == "signal_container") {
    containers.signal(request.params.get<guestcomm::SignalContainer>());
    reply(std::nullopt);
  } else if (request.method == "own_container") {
    containers.own(id_of(request), connection);
    reply(std::nullopt);
  } else if (request.method == "delete_container") {
    containers.remove(id_of(request), std::move(reply));
  } else {
    throw Error(Errc::invalid_argument, "unknown method " + request.method.substr(0, 64));
  }
}

}  // namespace husk::agent
