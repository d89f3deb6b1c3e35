// SPDX-License-Identifier: Apache-2.0
// The host process that stands for one guest process: streams, signals, exit status.
#pragma once

#include <optional>

#include "lib/base/unique_fd.hpp"
#include "lib/guestcomm/shim_handoff.hpp"
#include "shim/stream_pump.hpp"

namespace husk::shim {

class StandIn {
 public:
  /// Becomes the process's owner at the agent. Throws what the agent answers, peer_lost, timed_out.
  StandIn(const guestcomm::ShimDuty& duty, UniqueFd control);

  /// Takes the caller's streams for those of the guest.
  void carry_streams(guestcomm::Stdio<UniqueFd> stdio);

  /// Forwards every signal of `signal_fd` until the guest process ended; returns its status (0-255)
  /// once all its output is written, or vm_lost when the guest went away.
  int stand_until_exit(int signal_fd);

  static constexpr int vm_lost = 255;

 private:
  void forward_signal(int signal_fd);
  std::optional<int> read_notification();

  guestcomm::ShimDuty duty_;
  UniqueFd control_;
  std::int64_t next_request_ = 1;
  std::size_t unanswered_ = 0;  ///< signals passed on without an answer so far
  std::optional<StreamPump> stdin_, stdout_, stderr_;
};

}  // namespace husk::shim
