// SPDX-License-Identifier: Apache-2.0
// A guest's agent for tests of the host's side: one control connection.
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <utility>

#include "lib/base/error.hpp"
#include "lib/guestcomm/link/agent_client.hpp"
#include "lib/guestcomm/protocol/frame.hpp"
#include "lib/guestcomm/protocol/process_messages.hpp"
#include "lib/guestcomm/protocol/vm_messages.hpp"
#include "test/lib/base/scratch.hpp"
#include "test/lib/guestcomm/link/hybrid_peer.hpp"

namespace husk::test {

/// Says hello well and then does `behaviour` to the next request.
class FakeGuest {
 public:
  using Behaviour = std::function<void(int connection, std::int64_t request)>;

  explicit FakeGuest(Behaviour behaviour, guestcomm::Hello greeting = {}) {
    using namespace guestcomm;
    peer_.emplace(path(), [behaviour = std::move(behaviour), greeting](int connection) {
      try {
        receive_line(connection);
        send_text(connection, "OK 1\n");
        const Request hello = decode_request(read_frame(connection).value());
        write_frame(connection, encode(Response{hello.id.value(), greeting}));
        behaviour(connection, decode_request(read_frame(connection).value()).id.value());
      } catch (const std::exception&) {
        // the client had enough of it
      }
    });
  }

  guestcomm::HybridAddress address() const { return {path().string()}; }
  guestcomm::GuestAccess access() const { return {address(), std::string(32, 'a')}; }

  /// What a call throws that may take 300 ms, as may the hello before it.
  template <class Message>
  Error failure_of(const Message& message) const {
    constexpr std::chrono::milliseconds patience{300};
    try {
      guestcomm::AgentClient client(access(), patience);
      client.call(message, patience);
    } catch (const Error& error) {
      return error;
    }
    return {Errc::internal, "nothing was thrown"};
  }
  Error kill_failure() const { return failure_of(guestcomm::SignalProcess{{"c1", {}}, 9, false}); }
  Error start_failure() const { return failure_of(guestcomm::StartProcess{{"c1", {}}}); }

 private:
  std::filesystem::path path() const { return directory_.path() / "s"; }
  Scratch directory_;
  std::optional<HybridPeer> peer_;
};

}  // namespace husk::test
