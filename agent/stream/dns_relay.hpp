// SPDX-License-Identifier: Apache-2.0
// The DNS server of the container's namespace on the host, for the guest: takes questions at its
// address and has them asked there (lib/guestcomm/protocol/dns.hpp).
#pragma once

#include <netinet/in.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <variant>

#include "agent/loop/event_loop.hpp"
#include "lib/base/unique_fd.hpp"
#include "lib/guestcomm/protocol/dns.hpp"

namespace husk::agent {

class DnsRelay {
 public:
  /// False: there is nobody to ask.
  using Ask = std::function<bool(const guestcomm::DnsQuery&)>;

  static constexpr std::size_t max_open = 256;    ///< questions; the next takes the oldest's place
  static constexpr std::size_t max_clients = 64;  ///< over TCP; more are closed at once
  static constexpr std::chrono::seconds idle_patience{15};  ///< of a connection without a question

  /// Listens from construction on. Throws system "DNS at 127.0.0.11: ..." where the address or port
  /// is taken.
  DnsRelay(EventLoop& loop, Ask ask, std::uint16_t port = guestcomm::dns_port);
  DnsRelay(const DnsRelay&) = delete;
  DnsRelay& operator=(const DnsRelay&) = delete;
  ~DnsRelay();

  /// Passes on the answer to a question that was asked; ignores any other.
  void answer(const guestcomm::DnsAnswer& answer);

 private:
  struct Client {
    UniqueFd socket;
    std::string received;
    bool waits = false;  ///< for an answer
    EventLoop::TimerId idle;
    EventLoop::Watch watch;
  };
  using ClientId = std::uint64_t;
  using Asker = std::variant<sockaddr_in, ClientId>;

  void take_datagram();
  void take_client();
  void read_client(ClientId id);
  void ask_for(ClientId id);
  void rest(ClientId id);
  bool ask(const Asker& asker, std::string message);

  EventLoop& loop_;
  Ask ask_;
  UniqueFd datagrams_, listener_;
  std::map<std::uint32_t, Asker> open_;  ///< by number: the oldest first
  std::map<ClientId, Client> clients_;
  std::uint32_t next_number_ = 1;
  ClientId next_client_ = 1;
  EventLoop::Watch datagrams_watch_, listener_watch_;
};

}  // namespace husk::agent
