// SPDX-License-Identifier: Apache-2.0
// The host process that stands for one guest process: streams, signals, exit status.
#pragma once

#include <optional>
#include <string>

#include "lib/base/unique_fd.hpp"
#include "lib/handoff/handoff.hpp"
#include "shim/dns_relay.hpp"
#include "shim/notify_relay.hpp"
#include "shim/oom_mark.hpp"
#include "shim/stream_pump.hpp"

namespace husk::shim {

class StandIn {
 public:
  /// Becomes the process's owner at the agent. Throws what the agent answers, peer_lost, timed_out.
  StandIn(const handoff::Duty& duty, UniqueFd control, UniqueFd notify, UniqueFd bundle = {},
          UniqueFd kills = {});

  const OomMark& oom_mark() const noexcept { return oom_mark_; }

  /// Takes the caller's streams for those of the guest.
  void carry_streams(guestcomm::Stdio<UniqueFd> stdio);

  /// Forwards every signal of `signal_fd` until the guest process ended; returns its status (0-255)
  /// once all its output is written, or vm_lost when the guest went away.
  int stand_until_exit(int signal_fd);

  static constexpr int vm_lost = 255;

 private:
  void carry_pipes(guestcomm::Pipes<UniqueFd>& guest);
  void carry_terminal(guestcomm::Terminal<UniqueFd>& guest);
  template <class Message>
  void send(const Message& request);
  bool resize_terminal();  ///< false: the caller's streams are no terminal
  void forward_signal(int signal_fd);
  std::optional<int> read_message();
  std::optional<int> handle_notification(const std::string& frame);
  std::optional<int> handle_events(int signal_fd);

  handoff::Duty duty_;
  UniqueFd control_;
  std::int64_t next_request_ = 1;
  std::size_t unanswered_ = 0;  ///< requests without an answer so far
  UniqueFd terminal_;           ///< the caller's, or what stands in its place
  DnsRelay dns_;
  NotifyRelay notify_;
  OomMark oom_mark_;
  std::optional<StreamPump> stdin_, stdout_, stderr_;
};

}  // namespace husk::shim
