// SPDX-License-Identifier: Apache-2.0
#include "agent/dispatch.hpp"

#include <map>
#include <string_view>

#include "agent/request/request_check.hpp"
#include "lib/base/trace.hpp"
#include "lib/guestcomm/protocol/container_messages.hpp"
#include "lib/guestcomm/protocol/create_messages.hpp"
#include "lib/guestcomm/protocol/dns.hpp"
#include "lib/guestcomm/protocol/network.hpp"
#include "lib/guestcomm/protocol/process_list.hpp"
#include "lib/guestcomm/protocol/statistics.hpp"
#include "lib/guestcomm/protocol/vm_messages.hpp"

namespace husk::agent {
namespace {

using guestcomm::ProcessRef;

/// A request, and with whom it can be done.
struct Call : Parts {
  ConnectionId connection;
  const nlohmann::json& params;
};

/// All or none: a wrong token leaves the others waiting.
guestcomm::Stdio<UniqueFd> claim(PendingStreams& streams, guestcomm::StreamTokens tokens) {
  guestcomm::for_each_end(tokens, [&](const char* name, const std::string& token) {
    if (streams.contains(token)) return;
    throw Error(Errc::not_found,
                std::string(name) + ": no pending stream connection has this token");
  });
  return guestcomm::with_each_end(tokens,
                                  [&](const std::string& token) { return streams.claim(token); });
}

void create_container(const Call& call, const Reply& reply) {
  Laps laps;
  auto request = call.params.get<guestcomm::CreateContainer>();
  check_create_request(request);
  laps.end("request");
  const ProcessRef first{request.id, {}};
  call.containers.create({request.id,
                          std::move(request.spec),
                          claim(call.streams, std::move(request.stdio)),
                          {},
                          std::move(request.notify_socket),
                          std::move(request.hook_state)},
                         reply);
  call.containers.lend(first, call.connection);
}

void create_process(const Call& call, const Reply& reply) {
  auto request = call.params.get<guestcomm::CreateProcess>();
  check_create_request(request);
  const ProcessRef process = request.process;
  call.containers.create_process(
      process,
      {std::move(request.spec), claim(call.streams, std::move(request.stdio)),
       std::move(request.cgroup)},
      reply);
  call.containers.lend(process, call.connection);
}

void configure_network(const Call& call, const Reply& reply) {
  call.network.configure(call.params.get<guestcomm::ConfigureNetwork>().network,
                         call.containers.network_sysctls(), reply);
}

void answer_dns(const Call& call, const Reply& reply) {
  call.network.answer_dns(call.params.get<guestcomm::DnsAnswer>());
  reply(done());
}

void start_process(const Call& call, const Reply& reply) {
  call.containers.start(call.params.get<guestcomm::StartProcess>().process, reply);
}

void resize_terminal(const Call& call, const Reply& reply) {
  call.containers.resize(call.params.get<guestcomm::ResizeTerminal>());
  reply(done());
}

void signal_process(const Call& call, const Reply& reply) {
  call.containers.signal(call.params.get<guestcomm::SignalProcess>());
  reply(done());
}

void own_process(const Call& call, const Reply& reply) {
  call.containers.own(call.params.get<guestcomm::OwnProcess>().process, call.connection);
  reply(done());
}

void list_processes(const Call& call, const Reply& reply) {
  call.containers.list(call.params.get<guestcomm::ListProcesses>().id, reply);
}

void pause_container(const Call& call, const Reply& reply) {
  call.containers.pause(call.params.get<guestcomm::PauseContainer>().id, reply);
}

void resume_container(const Call& call, const Reply& reply) {
  call.containers.resume(call.params.get<guestcomm::ResumeContainer>().id);
  reply(done());
}

void update_container(const Call& call, const Reply& reply) {
  call.containers.update(call.params.get<guestcomm::UpdateContainer>());
  reply(done());
}

void give_statistics(const Call& call, const Reply& reply) {
  reply(
      nlohmann::json(call.containers.statistics(call.params.get<guestcomm::ReadStatistics>().id)));
}

void watch_container(const Call& call, const Reply& reply) {
  call.containers.watch(call.params.get<guestcomm::WatchContainer>().id, call.connection);
  reply(done());
}

void delete_container(const Call& call, const Reply& reply) {
  call.containers.remove(call.params.get<guestcomm::DeleteContainer>().id, reply);
}

/// Both or none.
void connect_port(const Call& call, const Reply& reply) {
  const auto request = call.params.get<guestcomm::ConnectPort>();
  guestcomm::Pipes<UniqueFd> streams = std::get<guestcomm::Pipes<UniqueFd>>(
      claim(call.streams,
            guestcomm::Pipes<std::string>{request.to_container, request.from_container, {}}));
  call.ports.connect(request.port, {std::move(*streams.in), std::move(*streams.out)}, reply);
}

std::int64_t microseconds(TraceClock::time_point time) {
  return std::chrono::duration_cast<std::chrono::microseconds>(time.time_since_epoch()).count();
}

void give_trace(const Call&, const Reply& reply) {
  guestcomm::GuestTrace given;
  for (const TraceSpan& span : take_trace())
    given.spans.push_back({span.name, microseconds(span.begin), microseconds(span.end)});
  given.now_us = microseconds(TraceClock::now());
  reply(nlohmann::json(given));
}

using Handler = void (*)(const Call&, const Reply&);

const std::map<std::string_view, Handler> handlers = {
    {guestcomm::CreateContainer::method, create_container},
    {guestcomm::CreateProcess::method, create_process},
    {guestcomm::ConfigureNetwork::method, configure_network},
    {guestcomm::DnsAnswer::method, answer_dns},
    {guestcomm::StartProcess::method, start_process},
    {guestcomm::ResizeTerminal::method, resize_terminal},
    {guestcomm::SignalProcess::method, signal_process},
    {guestcomm::OwnProcess::method, own_process},
    {guestcomm::PauseContainer::method, pause_container},
    {guestcomm::ResumeContainer::method, resume_container},
    {guestcomm::ListProcesses::method, list_processes},
    {guestcomm::DeleteContainer::method, delete_container},
    {guestcomm::UpdateContainer::method, update_container},
    {guestcomm::ConnectPort::method, connect_port},
    {guestcomm::ReadStatistics::method, give_statistics},
    {guestcomm::WatchContainer::method, watch_container},
    {guestcomm::TakeTrace::method, give_trace},
};

}  // namespace

void dispatch(const Parts& parts, ConnectionId connection, const guestcomm::Request& request,
              const Reply& reply) {
  const auto handler = handlers.find(request.method);
  if (handler == handlers.end())
    throw Error(Errc::invalid_argument, "unknown method " + request.method.substr(0, 64));
  const Reply traced = [&name = handler->first, begin = TraceClock::now(),
                        reply](const Outcome& outcome) {
    record_span(name, begin);
    reply(outcome);
  };
  handler->second({parts, connection, request.params}, traced);
}

}  // namespace husk::agent
