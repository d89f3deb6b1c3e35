// SPDX-License-Identifier: Apache-2.0
// The fake VM's inside: one thread, one poll loop. Husk's own side is well-behaved, so whole lines
// and frames are waited for.
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstring>
#include <list>
#include <map>
#include <thread>

#include "lib/base/detach.hpp"
#include "lib/base/error.hpp"
#include "lib/base/files.hpp"
#include "lib/guestcomm/protocol/connections.hpp"
#include "lib/guestcomm/protocol/container_messages.hpp"
#include "lib/guestcomm/protocol/create_messages.hpp"
#include "lib/guestcomm/protocol/frame.hpp"
#include "lib/guestcomm/protocol/process_messages.hpp"
#include "lib/guestcomm/protocol/rpc.hpp"
#include "lib/guestcomm/protocol/vm_messages.hpp"
#include "test/lib/guestcomm/link/hybrid_peer.hpp"
#include "test/lib/runtime/fake_vm.hpp"

namespace husk::test {
namespace {

using namespace std::chrono_literals;
using guestcomm::Request;
using guestcomm::Response;
using nlohmann::json;

sockaddr_un address_of(const std::string& path) {
  sockaddr_un name{};
  name.sun_family = AF_UNIX;
  std::strncpy(name.sun_path, path.c_str(), sizeof name.sun_path - 1);
  return name;
}

UniqueFd new_socket() {
  return UniqueFd{check_sys(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket")};
}

UniqueFd listen_on(const std::string& path) {
  UniqueFd listener = new_socket();
  ::unlink(path.c_str());  // the real device's
  const sockaddr_un name = address_of(path);
  check_sys(::bind(listener.get(), reinterpret_cast<const sockaddr*>(&name), sizeof name), "bind");
  check_sys(::listen(listener.get(), 8), "listen");
  return listener;
}

void announce(const std::string& host_socket, const guestcomm::ProtocolRange& protocols) {
  const UniqueFd socket = new_socket();
  const sockaddr_un name = address_of(host_socket + "_1026");
  check_sys(::connect(socket.get(), reinterpret_cast<const sockaddr*>(&name), sizeof name),
            "connect");
  send_text(socket.get(), std::string(guestcomm::announcement_start) +
                              std::to_string(protocols.oldest) + " " +
                              std::to_string(protocols.newest) + "\n");
}

class Guest {
 public:
  Guest(Fault fault, bool stays, std::string secret, UniqueFd journal)
      : fault_(fault), stays_(stays), secret_(std::move(secret)), journal_(std::move(journal)) {}

  /// Until the last container's owner goes, which is the last lease; or for ever (husk.stay).
  void serve(int listener) {
    while (!over_) {
      std::vector<pollfd> polled{{listener, POLLIN, 0}};
      for (const UniqueFd& control : controls_) polled.push_back({control.get(), POLLIN, 0});
      check_sys(::poll(polled.data(), polled.size(), -1), "poll");
      for (const pollfd& ready : polled) {
        if (ready.revents == 0) continue;
        if (ready.fd == listener) {
          accept(listener);
        } else {
          answer(ready.fd);
        }
      }
    }
  }

 private:
  void accept(int listener) {
    UniqueFd connection{::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC)};
    const std::string line = receive_line(connection.get());
    send_text(connection.get(), "OK 5000\n");
    if (line == "CONNECT " + std::to_string(guestcomm::control_port)) {
      controls_.push_back(std::move(connection));
    } else {
      take_stream(std::move(connection));
    }
  }

  void take_stream(UniqueFd connection) {
    const std::string header = std::string(guestcomm::stream_header_start) + secret_ + " ";
    const std::string line = receive_line(connection.get());
    if (fault_ == Fault::refuses_stream || !line.starts_with(header)) return;
    send_text(connection.get(), std::string(guestcomm::stream_answer));
    streams_[line.substr(header.size())] = std::move(connection);
  }

  void answer(int control) {
    const auto frame = guestcomm::read_frame(control);
    if (!frame) {
      const auto gone =
          std::erase_if(owners_, [=](const auto& one) { return one.second == control; });
      over_ = over_ || (!stays_ && gone > 0 && owners_.empty());
      controls_.remove_if([&](const UniqueFd& fd) { return fd.get() == control; });
      return;
    }
    const Request request = guestcomm::decode_request(*frame);
    if (is_stuck_) return;
    Response response{.id = request.id.value(), .outcome = json::object()};
    try {
      lie(request);
      handle(request, control, std::get<json>(response.outcome));
    } catch (const Error& e) {
      response.outcome = e;
    }
    if (fault_ == Fault::exits_before_its_owner && request.is<guestcomm::OwnProcess>())
      exit_with(last_, 0);
    guestcomm::write_frame(control, guestcomm::encode(response));
    if (ends_meanwhile(request)) {
      std::this_thread::sleep_for(100ms);  // the host hears of the error first
      exit_with(last_, 0);
    }
    if (fault_ == Fault::exits_at_once && request.is<guestcomm::OwnProcess>()) exit_with(last_, 7);
    if (ended_by_ != 0) exit_with(ended_, 128 + ended_by_);
    if (exec_ends_) end_exec();
  }

  /// The words by which engines take a container for gone.
  void lie(const Request& request) const {
    if (fault_ == Fault::lies_about_states && has_started_ && !request.is<guestcomm::Hello>())
      throw Error(Errc::wrong_state, "container not running: no such process; c1 does not exist");
    if (ends_meanwhile(request))
      throw Error(Errc::wrong_state, "join a namespace: no such process");
  }

  bool ends_meanwhile(const Request& request) const {
    return fault_ == Fault::ends_meanwhile && has_started_ && !request.is<guestcomm::Hello>() &&
           !request.is<guestcomm::StartProcess>() && !request.is<guestcomm::SignalProcess>() &&
           owners_.contains(last_);
  }

  void handle(const Request& request, int control, json& result) {
    if (request.is<guestcomm::Hello>()) {
      if (fault_ == Fault::refuses_hello ||
          request.params.get<guestcomm::Hello>().secret != secret_)
        throw Error(Errc::invalid_argument, "the secret is wrong");
      result = guestcomm::Hello{.version = "fake", .secret = ""};
    } else if (request.is<guestcomm::ClaimVm>()) {
      note("claim");
      if (fault_ == Fault::refuses_claim) throw Error(Errc::wrong_state, "not a spare one");
      secret_ = request.params.get<guestcomm::ClaimVm>().secret;
      stays_ = false;
    } else if (request.is<guestcomm::CreateContainer>()) {
      create(request.params.get<guestcomm::CreateContainer>());
    } else if (request.is<guestcomm::CreateProcess>()) {
      create_process(request.params.get<guestcomm::CreateProcess>());
    } else if (request.is<guestcomm::OwnProcess>() && is_joined(request)) {
      note("own exec");
      if (fault_ == Fault::refuses_exec_owner) throw Error(Errc::not_found, "owner refused");
      exec_owner_ = control;
    } else if (request.is<guestcomm::StartProcess>() && is_joined(request)) {
      note("start exec");
      if (fault_ == Fault::refuses_exec_start)
        throw Error(Errc::system, "permission denied by the image");
      exec_ends_ = true;
    } else if (request.is<guestcomm::OwnProcess>()) {
      note("own");
      if (fault_ == Fault::refuses_owner) throw Error(Errc::not_found, "owner refused");
      last_ = request.params.get<guestcomm::ProcessRef>().container;
      owners_[last_] = control;
    } else if (request.is<guestcomm::StartProcess>()) {
      note("start");
      if (fault_ == Fault::refuses_start)
        throw Error(Errc::system, "permission denied by the image");
      is_stuck_ = fault_ == Fault::stuck_after_start;
      if (fault_ == Fault::closes_streams) streams_.clear();
      has_started_ = true;
    } else if (request.is<guestcomm::SignalProcess>()) {
      take_signal(request.params.get<guestcomm::SignalProcess>());
    } else if (request.is<guestcomm::PauseContainer>()) {
      note("pause " + request.params.get<guestcomm::PauseContainer>().id);
      if (fault_ == Fault::refuses_pause) throw Error(Errc::timed_out, "does not stand still");
    } else if (request.is<guestcomm::ResizeGuest>()) {
      result = resize(request.params.get<guestcomm::ResizeGuest>().wanted);
    } else if (request.is<guestcomm::UpdateContainer>()) {
      note("update " + request.params.get<guestcomm::UpdateContainer>().id);
      if (fault_ == Fault::refuses_update) throw Error(Errc::system, "limit refused");
    } else if (request.is<guestcomm::ResumeContainer>()) {
      note("resume " + request.params.get<guestcomm::ResumeContainer>().id);
    } else if (request.is<guestcomm::DeleteContainer>()) {
      note("delete " + request.params.get<guestcomm::DeleteContainer>().id);
    }
  }

  guestcomm::GuestSize resize(const guestcomm::GuestSize& wanted) {
    note("resize " + std::to_string(wanted.plugged_mib) + " " + std::to_string(wanted.vcpus));
    if (fault_ == Fault::takes_no_memory) return {.plugged_mib = 0, .vcpus = 1};
    plugged_mib_ = std::max(wanted.plugged_mib, fault_ == Fault::keeps_memory ? plugged_mib_ : 0);
    return {.plugged_mib = plugged_mib_, .vcpus = wanted.vcpus};
  }

  void create(const guestcomm::CreateContainer& request) {
    note("create");
    for (const guestcomm::NamespaceUse& use : request.namespaces)
      if (use.way != guestcomm::NamespaceUse::Way::make) note("namespace " + json(use).dump());
    if (!request.hook_state.empty()) note("hook state " + request.hook_state);
    if (fault_ == Fault::refuses_create)
      throw Error(Errc::not_found, "no such program in the image");
    auto stdio = request.stdio;
    guestcomm::for_each_end(stdio, [&](const char* name, const std::string& token) {
      if (streams_.count(token) == 0) throw Error(Errc::not_found, std::string("no such ") + name);
    });
  }

  void create_process(const guestcomm::CreateProcess& request) {
    std::string line = "exec " + request.process.container;
    for (const std::string& argument : request.spec.args) line += " " + argument;
    note(line);
    if (fault_ == Fault::refuses_exec) throw Error(Errc::not_found, "no such program in the image");
    exec_name_ = request.process;
  }

  /// Whether it is about the exec's process.
  bool is_joined(const Request& request) const {
    return request.params.get<guestcomm::ProcessRef>() == exec_name_;
  }

  void end_exec() {
    streams_.clear();
    exec_ends_ = false;
    guestcomm::write_frame(
        exec_owner_,
        guestcomm::encode(guestcomm::make_notification(guestcomm::ProcessExited{exec_name_, 42})));
  }

  void take_signal(const guestcomm::SignalProcess& request) {
    note("signal " + std::to_string(request.signal) + (request.all ? " all" : ""));
    if (fault_ == Fault::refuses_signals) throw Error(Errc::system, "signal refused");
    ended_ = request.process.container;
    if (request.signal == SIGTERM) ended_by_ = SIGTERM;
    if (request.signal == SIGKILL && fault_ != Fault::ignores_kill) ended_by_ = SIGKILL;
  }

  void exit_with(const std::string& id, int status) {
    streams_.clear();
    ended_by_ = 0;
    guestcomm::write_frame(owners_.at(id),
                           guestcomm::encode(guestcomm::make_notification(
                               guestcomm::ProcessExited{.process = {id, {}}, .status = status})));
  }

  void note(const std::string& line) const { write_all(journal_.get(), line + "\n"); }

  Fault fault_;
  bool stays_;
  std::string secret_, last_, ended_;  ///< last_: the container owned last
  UniqueFd journal_;
  std::list<UniqueFd> controls_;
  std::map<std::string, UniqueFd> streams_;
  guestcomm::ProcessRef exec_name_;
  std::map<std::string, int> owners_;  ///< by container
  int exec_owner_ = -1, ended_by_ = 0;
  std::uint64_t plugged_mib_ = 0;
  bool over_ = false, is_stuck_ = false, exec_ends_ = false, has_started_ = false;
};

void boot(Fault fault, const std::string& host_socket) {
  if (fault == Fault::never_announces || fault == Fault::ends_at_once) {
    for (;;) ::pause();
  }
  if (fault == Fault::ends_while_booting) {
    std::this_thread::sleep_for(300ms);
    ::_exit(0);
  }
  announce(host_socket, fault == Fault::announces_another ? guestcomm::ProtocolRange{77, 78}
                                                          : guestcomm::own_protocols);
}

}  // namespace

void run_fake_vm(Fault fault, bool stays, const std::filesystem::path& host_socket,
                 const std::string& secret, const std::filesystem::path& journal,
                 const std::filesystem::path& console, const std::vector<int>& taps) noexcept {
  try {
    detach_process(taps, DetachedCgroups::unchanged);  // husk has chosen them
    UniqueFd log{check_sys(::open(journal.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600),
                           "journal")};
    write_file_atomic(console, "fake kernel panic\n", 0600);
    const UniqueFd listener = listen_on(host_socket);
    boot(fault, host_socket);
    Guest(fault, stays, secret, std::move(log)).serve(listener.get());
  } catch (const std::exception&) {
    ::_exit(1);
  }
  ::_exit(0);
}

}  // namespace husk::test
