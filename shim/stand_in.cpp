// SPDX-License-Identifier: Apache-2.0
#include "shim/stand_in.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <csignal>

#include "lib/base/error.hpp"
#include "lib/guestcomm/protocol/frame.hpp"
#include "lib/guestcomm/protocol/process_messages.hpp"
#include "lib/guestcomm/protocol/rpc.hpp"
#include "lib/guestcomm/protocol/statistics.hpp"

namespace husk::shim {
namespace {

namespace comm = husk::guestcomm;

/// Limits the shim's wait for the host's count of a kill. Callers see the container run until the shim exits.
constexpr std::chrono::seconds count_patience{5};

/// The caller's descriptor goes to the pump; an empty memory file takes its number, so that no
/// other descriptor ever gets it and end of file reaches the caller's reader as soon as the pump
/// closes its copy. Not /dev/null: the shim's root is the image's, which need not have one.
int take_standard_stream(int fd) {
  const int taken = check_sys(::fcntl(fd, F_DUPFD_CLOEXEC, 10), "duplicate a standard stream");
  const UniqueFd nothing{check_sys(::memfd_create("closed", MFD_CLOEXEC), "memfd_create")};
  check_sys(::dup2(nothing.get(), fd), "replace a standard stream");
  return taken;
}

}  // namespace

StandIn::StandIn(const handoff::Duty& duty, UniqueFd control, UniqueFd notify, UniqueFd bundle,
                 UniqueFd kills)
    : duty_(duty),
      control_(std::move(control)),
      dns_([this](const comm::DnsAnswer& answer) { send(answer); }),
      notify_(std::move(notify)),
      oom_mark_(std::move(bundle), std::move(kills), duty_.process.container) {
  const std::int64_t request = next_request_++;
  const Deadline deadline(duty_.message_patience);
  comm::write_frame(control_.get(),
                    encode(comm::make_request(request, comm::OwnProcess{duty_.process})), deadline);
  const std::optional<std::string> frame =
      comm::read_frame(control_.get(), deadline, comm::max_guest_bytes);
  if (!frame) throw Error(Errc::peer_lost, "guest agent closed the connection");
  const comm::Response response = comm::decode_response(*frame);
  if (const auto* error = std::get_if<Error>(&response.outcome)) throw Error(*error);
}

void StandIn::carry_streams(comm::Stdio<UniqueFd> stdio) {
  if (auto* pipes = std::get_if<comm::Pipes<UniqueFd>>(&stdio)) {
    carry_pipes(*pipes);
  } else {
    carry_terminal(std::get<comm::Terminal<UniqueFd>>(stdio));
  }
}

void StandIn::carry_pipes(comm::Pipes<UniqueFd>& guest) {
  const auto carry = [](std::optional<StreamPump>& pump, int stream,
                        std::optional<UniqueFd>& to_guest, Direction direction) {
    if (to_guest) pump.emplace(take_standard_stream(stream), to_guest->release(), direction);
  };
  carry(stdin_, STDIN_FILENO, guest.in, Direction::to_guest);
  carry(stdout_, STDOUT_FILENO, guest.out, Direction::from_guest);
  carry(stderr_, STDERR_FILENO, guest.err, Direction::from_guest);
}

void StandIn::carry_terminal(comm::Terminal<UniqueFd>& guest) {
  const bool hangs_up = ::isatty(STDIN_FILENO) == 1;
  const int input = take_standard_stream(STDIN_FILENO);
  const int output = take_standard_stream(STDOUT_FILENO);
  ::close(take_standard_stream(STDERR_FILENO));
  const auto copy = [](int fd) {
    return check_sys(::fcntl(fd, F_DUPFD_CLOEXEC, 10), "duplicate a stream");
  };
  terminal_.reset(copy(hangs_up ? input : output));
  // The end of a file is not the end of a terminal, which the guest's program may go on writing to.
  stdin_.emplace(input, copy(guest.stream.get()), Direction::to_guest,
                 hangs_up ? AtEnd::shut_down : AtEnd::nothing);
  stdout_.emplace(output, guest.stream.release(), Direction::from_guest);
}

template <class Message>
void StandIn::send(const Message& request) {
  comm::write_frame(control_.get(), encode(comm::make_request(next_request_++, request)),
                    Deadline(duty_.message_patience));
  ++unanswered_;
}

bool StandIn::resize_terminal() {
  winsize size{};
  if (!terminal_ || ::ioctl(terminal_.get(), TIOCGWINSZ, &size) != 0) return false;
  if (size.ws_row != 0 || size.ws_col != 0)
    send(comm::ResizeTerminal{duty_.process, {size.ws_row, size.ws_col}});
  return true;
}

void StandIn::forward_signal(int signal_fd) {
  signalfd_siginfo info{};
  if (::read(signal_fd, &info, sizeof info) != sizeof info) return;
  const int signal = static_cast<int>(info.ssi_signo);
  if (signal == SIGCHLD) return;  // about children of the shim itself, if ever
  // The guest's terminal sends its own when its size changes.
  if (signal == SIGWINCH && resize_terminal()) return;
  send(comm::SignalProcess{.process = duty_.process, .signal = signal, .all = false});
}

std::optional<int> StandIn::read_message() {
  // Between messages poll() waits as long as it takes; one that has begun has to end.
  const std::optional<std::string> frame =
      comm::read_frame(control_.get(), Deadline(duty_.message_patience), comm::max_guest_bytes);
  if (!frame) return vm_lost;
  if (comm::is_request(*frame)) return handle_notification(*frame);
  if (unanswered_-- == 0) throw Error(Errc::invalid_argument, "unexpected response");
  return std::nullopt;
}

std::optional<int> StandIn::handle_notification(const std::string& frame) {
  const comm::Request request = comm::decode_request(frame);
  if (request.is<comm::DnsQuery>()) {
    dns_.ask(request.params.get<comm::DnsQuery>());
    return std::nullopt;
  }
  if (request.is<comm::SdNotify>()) {
    notify_.pass_on(request.params.get<comm::SdNotify>().text);
    return std::nullopt;
  }
  if (request.is<comm::ContainerEvent>()) {
    const auto event = request.params.get<comm::ContainerEvent>();
    if (event.type == comm::ContainerEvent::Type::oom) oom_mark_.make();
    return std::nullopt;
  }
  const auto exited = request.params.get<comm::ProcessExited>();
  if (!request.is<comm::ProcessExited>() || exited.process != duty_.process) {
    throw Error(Errc::invalid_argument, "unexpected notification");
  }
  if (exited.out_of_memory) oom_mark_.make_last(count_patience);
  return exited.status;
}

std::optional<int> StandIn::handle_events(int signal_fd) {
  std::vector<pollfd> events{{.fd = control_.get(), .events = POLLIN, .revents = 0},
                             {.fd = signal_fd, .events = POLLIN, .revents = 0}};
  dns_.add_to(events);
  if (::poll(events.data(), events.size(), dns_.milliseconds_left()) < 0) return std::nullopt;
  dns_.handle(events);
  if (events[1].revents != 0) forward_signal(signal_fd);
  return events[0].revents != 0 ? read_message() : std::nullopt;
}

int StandIn::stand_until_exit(int signal_fd) {
  std::optional<int> status;
  try {
    resize_terminal();  // it may have been told its size before anybody listened
    while (!status) status = handle_events(signal_fd);
  } catch (const std::exception&) {
    // The connection is of no more use, and nothing may be said on the caller's stderr.
    status = vm_lost;
  }
  if (stdout_) stdout_->wait();
  if (stderr_) stderr_->wait();
  return *status;
}

}  // namespace husk::shim
