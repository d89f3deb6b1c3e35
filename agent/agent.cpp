// SPDX-License-Identifier: Apache-2.0
#include "agent/agent.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "agent/boot/modules.hpp"
#include "agent/clock/heard_clock.hpp"
#include "agent/dispatch.hpp"
#include "agent/request/control_server.hpp"
#include "agent/stream/vsock.hpp"
#include "lib/base/files.hpp"
#include "lib/base/log.hpp"
#include "lib/base/trace.hpp"
#include "lib/guestcomm/protocol/connections.hpp"
#include "lib/guestcomm/protocol/dns.hpp"
#include "lib/guestcomm/protocol/process_messages.hpp"
#include "lib/guestcomm/protocol/statistics.hpp"
#include "lib/guestcomm/protocol/vm_messages.hpp"

namespace husk::agent {
namespace {

/// Longer than any prestart hook, for which the host waits before it comes. A host that gave up
/// ends the VM itself, so that this is for one that was killed.
constexpr std::chrono::hours first_host_patience{24};
constexpr std::chrono::seconds announce_patience{5};

/// The kernel mixes what is written there into its random numbers (random(4)).
void add_entropy(const std::string& entropy) {
  const UniqueFd random(
      check_sys(::open("/dev/urandom", O_WRONLY | O_CLOEXEC), "open /dev/urandom"));
  write_all(random.get(), entropy);
}

/// All signals are blocked: none may end PID 1, and SIGCHLD is read like any other input. Children
/// undo it.
UniqueFd block_signals() {
  sigset_t all, child;
  ::sigfillset(&all);
  check_sys(::sigprocmask(SIG_SETMASK, &all, nullptr), "sigprocmask");
  ::signal(SIGPIPE, SIG_IGN);
  ::sigemptyset(&child);
  ::sigaddset(&child, SIGCHLD);
  return UniqueFd{check_sys(::signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK), "signalfd")};
}

class Agent {
 public:
  Agent(const BootOptions& options, const Secret& secret)
      : signals_(block_signals()),
        stays_(options.stay),
        is_spare_(options.spare),
        claim_([this](const guestcomm::ClaimVm& claim) { claim_vm(claim); }),
        refusal_(options.refusal),
        containers_(loop_, cgroup_parent,
                    {[this](ConnectionId connection, const guestcomm::ProcessExited& exited) {
                       control_.notify(connection, exited);
                     },
                     [this](ConnectionId connection, const guestcomm::ContainerEvent& event) {
                       control_.notify(connection, event);
                     },
                     [this](ConnectionId connection, const guestcomm::SdNotify& said) {
                       control_.notify(connection, said);
                     },
                     [this](ConnectionId connection, const guestcomm::ContainerEvent& kill) {
                       if (control_.protocol_of(connection) >= guestcomm::kill_protocol)
                         control_.notify(connection, kill);
                     }}),
        streams_(loop_, secret),
        network_(loop_, [this](const guestcomm::DnsQuery& query) { return ask_dns(query); }),
        ports_(loop_),
        size_(loop_, cgroup_parent, options.changed),
        control_(loop_, secret,
                 {[this](ConnectionId connection, const guestcomm::Request& request,
                         const Reply& reply) {
                    if (request.is<guestcomm::StartProcess>()) clock_.note_use();
                    dispatch({containers_, streams_, network_, ports_, size_, claim_, refusal_},
                             connection, request, reply);
                  },
                  [this](ConnectionId connection) { handle_closed(connection); },
                  [this](std::int64_t time_us) { clock_.hear(time_us); }}),
        control_listener_(loop_, guestcomm::control_port, options.privileged_ports,
                          {[this] { return control_.has_room(); },
                           [this](UniqueFd socket, Caller caller) {
                             control_.adopt(std::move(socket), caller);
                           }}),
        stream_listener_(loop_, guestcomm::stream_port, options.privileged_ports,
                         {[this] { return streams_.has_room(); },
                          [this](UniqueFd socket, Caller caller) {
                            streams_.adopt(std::move(socket), caller);
                          }}) {
    signal_watch_ =
        loop_.watch(signals_.get(), EPOLLIN, [this](std::uint32_t) { handle_child_signal(); });
    loop_.after(first_host_patience,
                [this] { finished_ |= !is_spare_ && !control_.was_greeted(); });
  }

  /// The host need not wait for them.
  void load_modules() { load_other_modules(loop_); }

  void run() {
    while (!finished_) loop_.run_once();
  }

 private:
  /// Asks the shim of any container: all have the guest's network.
  bool ask_dns(const guestcomm::DnsQuery& query) {
    const std::optional<ConnectionId> shim = containers_.owner_of_first();
    if (shim) control_.notify(*shim, query);
    return shim.has_value();
  }

  void handle_child_signal() {
    struct signalfd_siginfo information {};
    while (::read(signals_.get(), &information, sizeof information) > 0) {
    }
    containers_.reap();
  }

  void claim_vm(const guestcomm::ClaimVm& claim) {
    if (!is_spare_) throw Error(Errc::wrong_state, "this VM is not a spare one");
    const Secret secret(claim.secret);
    control_.change_secret(secret);
    streams_.change_secret(secret);
    add_entropy(claim.entropy);
    is_spare_ = false;
    clock_ = {};  // set by the next hello, as if no container had used the clock
  }

  void handle_closed(ConnectionId connection) {
    containers_.connection_closed(connection);
    finished_ |= !stays_ && !is_spare_ && control_.greeted_connections() == 0;
  }

  EventLoop loop_;
  UniqueFd signals_;
  bool stays_;     ///< BootOptions::stay
  bool is_spare_;  ///< BootOptions::spare, until the VM is claimed
  std::function<void(const guestcomm::ClaimVm&)> claim_;
  std::optional<std::string> refusal_;  ///< BootOptions::refusal
  EventLoop::Watch signal_watch_;
  bool finished_ = false;
  ContainerTable containers_;
  PendingStreams streams_;
  NetworkConfigurator network_;
  PortConnector ports_;
  GuestResizer size_;
  HeardClock clock_;
  ControlServer control_;
  VsockListener control_listener_, stream_listener_;
};

}  // namespace

void serve(const BootOptions& options, const Secret& secret) {
  Agent agent(options, secret);
  if (options.announce_port) {
    try {
      const Span span("announce");
      announce(*options.announce_port, announce_patience);
    } catch (const Error& error) {
      log(LogLevel::error, error.what());  // the host may come all the same
    }
  }
  agent.load_modules();
  agent.run();
}

}  // namespace husk::agent
