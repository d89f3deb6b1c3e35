// SPDX-License-Identifier: Apache-2.0
#include "agent/dispatch.hpp"

#include <functional>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <type_traits>

#include "agent/clock/guest_clock.hpp"
#include "agent/request/request_check.hpp"
#include "lib/base/time.hpp"
#include "lib/base/trace.hpp"
#include "lib/guestcomm/protocol/clock.hpp"
#include "lib/guestcomm/protocol/container_messages.hpp"
#include "lib/guestcomm/protocol/create_messages.hpp"
#include "lib/guestcomm/protocol/dns.hpp"
#include "lib/guestcomm/protocol/network.hpp"
#include "lib/guestcomm/protocol/process_list.hpp"
#include "lib/guestcomm/protocol/process_messages.hpp"
#include "lib/guestcomm/protocol/statistics.hpp"
#include "lib/guestcomm/protocol/vm_messages.hpp"

namespace husk::agent {
namespace {

/// A request with the components that serve it.
template <class Message>
struct Call : Services {
  ConnectionId connection;
  Message request;
  const Reply& reply;

  /// The container that the request names, and its process. Throw not_found.
  Container& container() const {
    if constexpr (requires { request.id; }) {
      return containers.find(request.id);
    } else {
      return containers.find(request.process.container);
    }
  }
  Process& process() const { return container().process(request.process.process); }
};

using Handler =
    std::function<void(const Services&, ConnectionId, const nlohmann::json& params, const Reply&)>;
using Handlers = std::map<std::string_view, Handler>;

/// Serves requests of type Message: `work` takes a Call and returns the result, or returns nothing and
/// sees to the reply itself, now or later.
template <class Message, class Work>
Handlers::value_type on(Work work) {
  return {Message::method, [work](const Services& services, ConnectionId connection,
                                  const nlohmann::json& params, const Reply& reply) {
            Call<Message> call{services, connection, params.get<Message>(), reply};
            using Returned = std::invoke_result_t<Work, Call<Message>&>;
            if constexpr (std::is_void_v<Returned>) {
              work(call);
            } else {
              static_assert(std::is_same_v<Returned, typename Message::Result>);
              reply(nlohmann::json(work(call)));
            }
          }};
}

/// For work that is done when it returns.
template <class Message, class Work>
Handlers::value_type on_at_once(Work work) {
  return on<Message>([work](Call<Message>& call) {
    work(call);
    return guestcomm::Done{};
  });
}

/// All or none: a wrong token, or one that is given twice, leaves the others waiting.
guestcomm::Stdio<UniqueFd> claim(PendingStreams& streams, guestcomm::StreamTokens tokens) {
  std::set<std::string> given;
  guestcomm::for_each_end(tokens, [&](const char* name, const std::string& token) {
    if (streams.contains(token) && given.insert(token).second) return;
    throw Error(Errc::not_found,
                std::string(name) + ": no pending stream connection has this token");
  });
  return guestcomm::with_each_end(tokens,
                                  [&](const std::string& token) { return streams.claim(token); });
}

void create_container(Call<guestcomm::CreateContainer>& call) {
  if (call.refusal) throw Error(Errc::invalid_argument, *call.refusal);
  Laps laps;
  guestcomm::CreateContainer& request = call.request;
  check_create_request(request);
  laps.end("request");
  ContainerSetup setup{.id = request.id,
                       .spec = std::move(request.spec),
                       .stdio = claim(call.streams, std::move(request.stdio)),
                       .cgroup_parent = {},
                       .notify_socket = std::move(request.notify_socket),
                       .hook_state = std::move(request.hook_state),
                       .namespaces = std::move(request.namespaces),
                       .shared_tmpfs = std::move(request.shared_tmpfs)};
  call.containers.create(std::move(setup), call.reply).first().lend(call.connection);
}

void create_process(Call<guestcomm::CreateProcess>& call) {
  guestcomm::CreateProcess& request = call.request;
  check_create_request(request);
  ExecSetup setup{.spec = std::move(request.spec),
                  .stdio = claim(call.streams, std::move(request.stdio)),
                  .cgroup = std::move(request.cgroup)};
  call.container().add_process(request.process.process, std::move(setup), call.reply);
  call.process().lend(call.connection);
}

/// Both or none.
void connect_port(Call<guestcomm::ConnectPort>& call) {
  const guestcomm::ConnectPort& request = call.request;
  auto streams = std::get<guestcomm::Pipes<UniqueFd>>(
      claim(call.streams,
            guestcomm::Pipes<std::string>{request.to_container, request.from_container, {}}));
  call.ports.connect(request.port, {std::move(*streams.in), std::move(*streams.out)}, call.reply);
}

std::int64_t microseconds(TraceClock::time_point time) {
  return std::chrono::duration_cast<std::chrono::microseconds>(time.time_since_epoch()).count();
}

guestcomm::GuestTrace give_trace(Call<guestcomm::TakeTrace>&) {
  guestcomm::GuestTrace given;
  for (const TraceSpan& span : take_trace())
    given.spans.push_back({span.name, microseconds(span.begin), microseconds(span.end)});
  given.now_us = microseconds(TraceClock::now());
  return given;
}

guestcomm::ClockCorrection correct(Call<guestcomm::CorrectClock>& call) {
  const guestcomm::ClockChange change = plan_clock_change(call.request.difference);
  correct_clock(change, call.request.difference.ahead_us);
  return {change};
}

const Handlers handlers = {
    on<guestcomm::CreateContainer>(create_container),
    on<guestcomm::PauseContainer>([](auto& call) { call.container().pause(call.reply); }),
    on_at_once<guestcomm::ResumeContainer>([](auto& call) { call.container().resume(); }),
    on_at_once<guestcomm::UpdateContainer>(
        [](auto& call) { call.container().update(call.request.resources); }),
    on<guestcomm::DeleteContainer>(
        [](auto& call) { call.containers.remove(call.request.id, call.reply); }),
    on<guestcomm::ListProcesses>([](auto& call) { call.container().list_processes(call.reply); }),
    on<guestcomm::ReadStatistics>([](auto& call) { return call.container().statistics(); }),
    on_at_once<guestcomm::WatchContainer>(
        [](auto& call) { call.container().watch(call.connection); }),

    on<guestcomm::CreateProcess>(create_process),
    on<guestcomm::StartProcess>(
        [](auto& call) { call.container().start(call.request.process.process, call.reply); }),
    on_at_once<guestcomm::OwnProcess>([](auto& call) { call.process().own(call.connection); }),
    on_at_once<guestcomm::ResizeTerminal>(
        [](auto& call) { call.process().resize(call.request.size); }),
    on_at_once<guestcomm::SignalProcess>([](auto& call) { call.container().signal(call.request); }),

    on<guestcomm::ConfigureNetwork>([](auto& call) {
      call.network.configure(call.request.network, call.containers.network_sysctls(), call.reply);
    }),
    on_at_once<guestcomm::DnsAnswer>([](auto& call) { call.network.answer_dns(call.request); }),
    on<guestcomm::ConnectPort>(connect_port),
    on<guestcomm::ResizeGuest>(
        [](auto& call) { call.size.resize(call.request.wanted, call.reply); }),
    on_at_once<guestcomm::ClaimVm>([](auto& call) { call.claim(call.request); }),
    on<guestcomm::TakeTrace>(give_trace),
    on<guestcomm::ReadClock>([](auto&) { return guestcomm::GuestClock{wall_clock_us()}; }),
    on<guestcomm::CorrectClock>(correct),
};

}  // namespace

void dispatch(const Services& services, ConnectionId connection, const guestcomm::Request& request,
              const Reply& reply) {
  const auto handler = handlers.find(request.method);
  if (handler == handlers.end())
    throw Error(Errc::invalid_argument, "unknown method " + request.method.substr(0, 64));
  const Reply traced = [&name = handler->first, begin = TraceClock::now(),
                        reply](const Outcome& outcome) {
    record_span(name, begin);
    reply(outcome);
  };
  handler->second(services, connection, request.params, traced);
}

}  // namespace husk::agent
