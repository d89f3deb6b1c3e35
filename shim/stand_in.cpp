// SPDX-License-Identifier: Apache-2.0
#include "shim/stand_in.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/socket.h>

#include <array>
#include <csignal>

#include "lib/base/error.hpp"
#include "lib/guestcomm/frame.hpp"
#include "lib/guestcomm/messages.hpp"

namespace husk::shim {
namespace {

namespace comm = husk::guestcomm;

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

StandIn::StandIn(const comm::ShimHandoff& handoff, UniqueFd control)
    : id_(handoff.container_id),
      control_(std::move(control)),
      message_patience_(handoff.message_patience) {
  const std::int64_t request = next_request_++;
  const comm::Deadline deadline(message_patience_);
  comm::write_frame(control_.get(),
                    encode(comm::Request{request, "own_container", comm::ContainerId{id_}}),
                    deadline);
  const std::optional<std::string> frame =
      comm::read_frame(control_.get(), deadline, comm::max_guest_bytes);
  if (!frame) throw Error(Errc::peer_lost, "guest agent closed the connection");
  const comm::Response response = comm::decode_response(*frame);
  if (response.error) throw Error(*response.error);
}

void StandIn::carry_streams(const comm::ShimHandoff& handoff, std::vector<UniqueFd>& descriptors) {
  auto next = descriptors.begin();
  if (handoff.has_stdin) {
    stdin_.emplace(take_standard_stream(STDIN_FILENO), (next++)->release(), Direction::to_guest);
  }
  if (handoff.has_stdout) {
    stdout_.emplace(take_standard_stream(STDOUT_FILENO), (next++)->release(),
                    Direction::from_guest);
  }
  if (handoff.has_stderr) {
    stderr_.emplace(take_standard_stream(STDERR_FILENO), (next++)->release(),
                    Direction::from_guest);
  }
}

void StandIn::forward_signal(int signal_fd) {
  signalfd_siginfo info{};
  if (::read(signal_fd, &info, sizeof info) != sizeof info) return;
  const int signal = static_cast<int>(info.ssi_signo);
  if (signal == SIGCHLD) return;  // about children of the shim itself, if ever
  const comm::SignalContainer params{.id = id_, .signal = signal, .all = false};
  comm::write_frame(control_.get(),
                    encode(comm::Request{next_request_++, "signal_container", params}),
                    comm::Deadline(message_patience_));
  ++unanswered_;
}

std::optional<int> StandIn::read_notification() {
  // Between messages poll() waits as long as it takes; one that has begun has to end.
  const std::optional<std::string> frame =
      comm::read_frame(control_.get(), comm::Deadline(message_patience_), comm::max_guest_bytes);
  if (!frame) return vm_lost;
  if (!comm::is_request(*frame)) {  // the answer to a forwarded signal
    if (unanswered_-- == 0) throw Error(Errc::invalid_argument, "an answer nobody asked for");
    return std::nullopt;
  }
  const comm::Request request = comm::decode_request(*frame);
  const auto exited = request.params.get<comm::ContainerExited>();
  if (request.method != "container_exited" || exited.id != id_) {
    throw Error(Errc::invalid_argument, "a notification nobody asked for");
  }
  return exited.status;
}

int StandIn::stand_until_exit(int signal_fd) {
  std::optional<int> status;
  while (!status) {
    std::array<pollfd, 2> events{pollfd{.fd = control_.get(), .events = POLLIN, .revents = 0},
                                 pollfd{.fd = signal_fd, .events = POLLIN, .revents = 0}};
    if (::poll(events.data(), events.size(), -1) < 0) continue;
    try {
      if (events[1].revents != 0) forward_signal(signal_fd);
      if (events[0].revents != 0) status = read_notification();
    } catch (const std::exception&) {
      status =
          vm_lost;  // the connection is of no more use; nothing may be said on the caller's stderr
    }
  }
  if (stdout_) stdout_->wait();
  if (stderr_) stderr_->wait();
  return *status;
}

}  // namespace husk::shim
