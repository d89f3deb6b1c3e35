// SPDX-License-Identifier: Apache-2.0
// configure_network, without a wait in the agent's one thread.
#pragma once

#include <memory>
#include <optional>
#include <set>
#include <string>

#include "agent/loop/event_loop.hpp"
#include "agent/network/pci_cards.hpp"
#include "agent/request/request.hpp"
#include "agent/stream/dns_relay.hpp"
#include "lib/guestcomm/protocol/network.hpp"

namespace husk::agent {

class NetworkConfigurator {
 public:
  /// How long a card that was plugged in may take.
  static constexpr std::chrono::milliseconds patience{5000};

  /// ask_dns: how a DNS relay, if the wanted network has one, has its questions asked.
  explicit NetworkConfigurator(EventLoop& loop, DnsRelay::Ask ask_dns,
                               std::unique_ptr<Cards> cards = std::make_unique<PciCards>())
      : loop_(loop), ask_dns_(std::move(ask_dns)), cards_(std::move(cards)) {}
  NetworkConfigurator(const NetworkConfigurator&) = delete;
  NetworkConfigurator& operator=(const NetworkConfigurator&) = delete;
  ~NetworkConfigurator();

  /// apply_network; when cards are missing once they are there, or not_found after the patience.
  /// Throws Error, or answers `reply`; never both. Throws wrong_state while another one waits.
  void configure(guestcomm::Network wanted, std::set<std::string> kept, Reply reply);
  void answer_dns(const guestcomm::DnsAnswer& answer);

 private:
  struct Waiting {
    guestcomm::Network wanted;
    std::set<std::string> kept;
    Reply reply;
    EventLoop::Clock::time_point deadline;
    EventLoop::TimerId timer;
  };
  void apply(const guestcomm::Network& wanted, const std::set<std::string>& kept);
  void wait();
  void look_again();
  void finish(const Outcome& outcome);

  EventLoop& loop_;
  DnsRelay::Ask ask_dns_;
  std::unique_ptr<Cards> cards_;
  std::optional<DnsRelay> dns_;
  std::optional<Waiting> waiting_;
};

}  // namespace husk::agent
