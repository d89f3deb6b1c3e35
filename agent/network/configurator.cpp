// SPDX-License-Identifier: Apache-2.0
#include "agent/network/configurator.hpp"

#include "agent/network/apply.hpp"
#include "lib/base/log.hpp"

namespace husk::agent {
namespace {

constexpr std::chrono::milliseconds look_interval{10};

std::string names_of(const std::vector<std::string>& links) {
  std::string text;
  for (const std::string& link : links) text += (text.empty() ? "" : ", ") + link;
  return text;
}

}  // namespace

NetworkConfigurator::~NetworkConfigurator() {
  if (waiting_) loop_.cancel(waiting_->timer);
}

void NetworkConfigurator::apply(const guestcomm::Network& wanted,
                                const std::set<std::string>& kept) {
  const auto begin = EventLoop::Clock::now();
  apply_network(wanted, *cards_, kept);
  if (!wanted.has_dns) {
    dns_.reset();
  } else if (!dns_) {
    dns_.emplace(loop_, ask_dns_);
  }
  const std::chrono::duration<double, std::milli> taken = EventLoop::Clock::now() - begin;
  log(LogLevel::debug, "network configured in " + std::to_string(taken.count()) + " ms");
}

void NetworkConfigurator::answer_dns(const guestcomm::DnsAnswer& answer) {
  if (dns_) dns_->answer(answer);
}

void NetworkConfigurator::configure(guestcomm::Network wanted, std::set<std::string> kept,
                                    Reply reply) {
  if (waiting_) throw Error(Errc::wrong_state, "network: already being configured");
  if (missing_cards(wanted, *cards_).empty()) {
    apply(wanted, kept);
    reply(done());
    return;
  }
  cards_->rescan();
  waiting_ = Waiting{
      std::move(wanted), std::move(kept), std::move(reply), EventLoop::Clock::now() + patience, {}};
  wait();
}

void NetworkConfigurator::wait() {
  waiting_->timer = loop_.after(look_interval, [this] {
    try {
      look_again();
    } catch (const Error& error) {
      finish(error);
    } catch (const std::exception& error) {
      finish(Error(Errc::internal, error.what()));
    }
  });
}

void NetworkConfigurator::look_again() {
  const std::vector<std::string> missing = missing_cards(waiting_->wanted, *cards_);
  if (missing.empty()) {
    apply(waiting_->wanted, waiting_->kept);
    finish(done());
  } else if (EventLoop::Clock::now() < waiting_->deadline) {
    wait();
  } else {
    finish(Error(Errc::not_found, "network: the guest has no card for " + names_of(missing)));
  }
}

void NetworkConfigurator::finish(const Outcome& outcome) {
  const Reply reply = std::move(waiting_->reply);
  waiting_.reset();
  reply(outcome);
}

}  // namespace husk::agent
