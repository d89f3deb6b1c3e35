// SPDX-License-Identifier: Apache-2.0
// The host's view of the agent: one control connection.
#pragma once

#include <chrono>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "lib/base/deadline.hpp"
#include "lib/base/unique_fd.hpp"
#include "lib/guestcomm/link/guest_address.hpp"
#include "lib/guestcomm/link/guest_words.hpp"
#include "lib/guestcomm/protocol/container_messages.hpp"
#include "lib/guestcomm/protocol/create_messages.hpp"
#include "lib/guestcomm/protocol/network.hpp"
#include "lib/guestcomm/protocol/process_list.hpp"
#include "lib/guestcomm/protocol/process_messages.hpp"
#include "lib/guestcomm/protocol/rpc.hpp"
#include "lib/guestcomm/protocol/statistics.hpp"
#include "lib/guestcomm/protocol/vm_messages.hpp"

namespace husk::guestcomm {

class AgentClient {
 public:
  /// Connects and exchanges hello. Throws peer_lost, timed_out, or unsupported
  /// "the guest agent speaks protocol 1 to 2, the host 3 to 5", if they share none.
  AgentClient(const GuestAccess& guest, std::chrono::milliseconds patience,
              ErrorWords words = ErrorWords::for_callers);

  // Each takes at most the client's patience in all. An error answered by the agent is thrown with its code,
  // in the words of refusal() (guest_words.hpp). Of the agent's text at most 4 KiB are taken, without control
  // characters.
  void create_container(const CreateContainer& request, std::chrono::milliseconds patience);
  void create_process(const CreateProcess& request, std::chrono::milliseconds patience);
  void configure_network(const Network& network, std::chrono::milliseconds patience);
  void start_process(const ProcessRef& process, std::chrono::milliseconds patience);
  void signal_process(const SignalProcess& request);
  ProcessList list_processes(const std::string& id);
  void pause_container(const std::string& id);
  void resume_container(const std::string& id);
  void update_container(const UpdateContainer& request);
  ContainerStatistics container_statistics(const std::string& id);
  /// After it nothing is called any more, but next_event(): empty if nothing came in `patience`.
  /// Throws peer_lost when the guest has ended.
  void watch_container(const std::string& id);
  std::optional<ContainerEvent> next_event(std::chrono::milliseconds patience);
  void delete_container(const std::string& id);
  void connect_port(const ConnectPort& request);
  GuestTrace trace();

  /// Gives the connection away (for the shim), after hello, with nothing under way.
  UniqueFd release() { return std::move(socket_); }

 private:
  nlohmann::json call(std::string_view method, const nlohmann::json& params,
                      std::chrono::milliseconds patience);
  Response await_response(std::int64_t id, const Deadline& deadline);
  UniqueFd socket_;
  std::chrono::milliseconds patience_;
  ErrorWords words_;
  std::int64_t next_id_ = 1;
};

/// Opens a stream connection for each token and registers it under that (connections.hpp); all at once,
/// and in `patience` together. Throws peer_lost, timed_out; leaves none open then.
Stdio<UniqueFd> open_streams(const GuestAccess& guest, StreamTokens tokens,
                             std::chrono::milliseconds patience);

}  // namespace husk::guestcomm
