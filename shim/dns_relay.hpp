// SPDX-License-Identifier: Apache-2.0
// Asks the DNS server on this namespace's loopback what the guest wants to know
// (lib/guestcomm/protocol/dns.hpp).
#pragma once

#include <poll.h>

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "lib/base/deadline.hpp"
#include "lib/base/unique_fd.hpp"
#include "lib/guestcomm/protocol/dns.hpp"

namespace husk::shim {

class DnsRelay {
 public:
  using Answer = std::function<void(const guestcomm::DnsAnswer&)>;

  static constexpr std::size_t max_open = 256;  ///< questions; one more is answered with nothing
  /// Longer than the five seconds after which a resolver asks again, so that a slow answer arrives.
  static constexpr std::chrono::seconds patience{15};

  /// `answer` is called once for each question that was asked, and what it throws comes out of
  /// ask() or handle().
  explicit DnsRelay(Answer answer) : answer_(std::move(answer)) {}

  void ask(const guestcomm::DnsQuery& query);

  /// A descriptor to poll, for milliseconds_left() at most; then call handle().
  void add_to(std::vector<pollfd>& polled) const;
  int milliseconds_left() const;  ///< negative: no limit
  void handle(const std::vector<pollfd>& polled);

 private:
  struct Question {
    UniqueFd socket;
    std::uint32_t number;
    bool over_tcp;
    std::string unsent, received;
    Deadline deadline;
  };
  using Questions = std::map<int, Question>;  ///< by socket

  /// Sends and receives what can be without waiting. True: `received` is the answer. Throws when
  /// none will come.
  static bool advance(Question& question);
  static bool is_over(Question& question);  ///< the same; nothing received: none came
  void finish(Questions::iterator question, std::string message);

  Answer answer_;
  Questions questions_;
};

}  // namespace husk::shim
