// SPDX-License-Identifier: Apache-2.0
// configure_network, without a wait in the agent's one thread.
#pragma once

#include <memory>
#include <optional>
#include <set>
#include <string>

#include "agent/event_loop.hpp"
#include "agent/network/cards.hpp"
#include "agent/request.hpp"
#include "lib/guestcomm/protocol/network.hpp"

namespace husk::agent {

class NetworkConfigurator {
 public:
  /// How long a card that was plugged in may take.
  static constexpr std::chrono::milliseconds patience{5000};

  explicit NetworkConfigurator(EventLoop& loop,
                               std::unique_ptr<Cards> cards = std::make_unique<PciCards>())
      : loop_(loop), cards_(std::move(cards)) {}
  NetworkConfigurator(const NetworkConfigurator&) = delete;
  NetworkConfigurator& operator=(const NetworkConfigurator&) = delete;
  ~NetworkConfigurator();

  /// apply_network; when cards are missing once they are there, or not_found after the patience.
  /// Throws Error, or answers `reply`; never both. Throws wrong_state while another one waits.
  void configure(guestcomm::Network picture, std::set<std::string> kept, Reply reply);

 private:
  struct Waiting {
    guestcomm::Network picture;
    std::set<std::string> kept;
    Reply reply;
    EventLoop::Clock::time_point deadline;
    EventLoop::TimerId timer;
  };
  void wait();
  void look_again();
  void finish(const Outcome& outcome);

  EventLoop& loop_;
  std::unique_ptr<Cards> cards_;
  std::optional<Waiting> waiting_;
};

}  // namespace husk::agent
