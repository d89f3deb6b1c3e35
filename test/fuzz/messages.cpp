// SPDX-License-Identifier: Apache-2.0
// What is in a frame: a request to the agent, an answer or a notification to the host. The contents
// are read as every type that a side takes, so that one input tries them all.
#include "agent/network/address.hpp"
#include "agent/request/request_check.hpp"
#include "lib/guestcomm/protocol/clock.hpp"
#include "lib/guestcomm/protocol/container_messages.hpp"
#include "lib/guestcomm/protocol/create_messages.hpp"
#include "lib/guestcomm/protocol/dns.hpp"
#include "lib/guestcomm/protocol/network.hpp"
#include "lib/guestcomm/protocol/process_list.hpp"
#include "lib/guestcomm/protocol/process_messages.hpp"
#include "lib/guestcomm/protocol/rpc.hpp"
#include "lib/guestcomm/protocol/statistics.hpp"
#include "lib/guestcomm/protocol/vm_messages.hpp"
#include "test/fuzz/fuzz.hpp"

namespace {

using namespace husk;
using namespace husk::guestcomm;

void check(const auto&) {}
void check(const CreateContainer& request) { agent::check_create_request(request); }
void check(const CreateProcess& request) { agent::check_create_request(request); }
void check(const ConfigureNetwork& request) {
  const Network& network = request.network;
  for (const auto& link : network.links) {
    fuzz::only_errors([&] { (void)agent::canonical_mac(link.mac); });
    for (const LinkAddress& address : link.addresses)
      fuzz::only_errors([&] { (void)agent::canonical_prefix(address.address); });
  }
  for (const auto& route : network.routes)
    fuzz::only_errors([&] { (void)agent::canonical_prefix(route.destination); });
}

template <class... Messages>
void read_as(const nlohmann::json& content) {
  const auto read = [&]<class Message>(Message message) {
    fuzz::only_errors([&] {
      content.get_to(message);
      fuzz::require_round_trip(message);
      check(message);
    });
  };
  (read(Messages{}), ...);
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string payload(fuzz::text_of(data, size));
  fuzz::only_errors([&] { (void)is_request(payload); });
  fuzz::only_errors([&] {
    const Request request = decode_request(payload);
    (void)decode_request(encode(request));
    read_as<Hello, CreateContainer, CreateProcess, ConfigureNetwork, StartProcess, OwnProcess,
            ResizeTerminal, SignalProcess, PauseContainer, ResumeContainer, DeleteContainer,
            ListProcesses, ReadStatistics, WatchContainer, TakeTrace, ResizeGuest, UpdateContainer,
            DnsAnswer, ConnectPort, ReadClock, CorrectClock, ProcessExited, DnsQuery,
            ContainerEvent, SdNotify>(request.params);
  });
  fuzz::only_errors([&] {
    const Response response = decode_response(payload);
    (void)decode_response(encode(response));
    const auto* result = std::get_if<nlohmann::json>(&response.outcome);
    if (result != nullptr)
      read_as<Hello, ProcessList, ContainerStatistics, GuestTrace, GuestClock, ClockCorrection>(
          *result);
  });
  return 0;
}
