// SPDX-License-Identifier: Apache-2.0
// The one request that passes through, and its answer: HTTP/1.1 over a Unix socket. Boost.Beast reads and writes the
// text; what comes is bounded in size and time.
#pragma once

#include <cstddef>
#include <string>

#include "lib/base/deadline.hpp"
#include "lib/base/error.hpp"

namespace husk::ch {

inline constexpr std::size_t max_header_bytes = 8u << 10;
inline constexpr std::size_t max_body_bytes = 256u << 10;

/// A request that gets this answer.
class Refusal : public Error {
 public:
  Refusal(unsigned status, const Error& why) : Error(why), status_(status) {}
  unsigned status() const noexcept { return status_; }

 private:
  unsigned status_;
};

struct Answer {
  unsigned status = 0;
  std::string body;
};

/// Receives PUT /api/v1/vm.create, the only request that is taken, and returns its body. Throws Refusal for anything
/// else: 400, 404, 408 (not whole in time), 413, 431.
std::string receive_vm_create(int connection, const Deadline& deadline);

/// The same request, for Cloud Hypervisor.
std::string vm_create_request(const std::string& body);

/// Receives the answer. Throws timed_out, invalid_argument for what is no answer, and peer_lost at its end or as soon as
/// `gone_fd` (a pidfd, -1 for none) is readable.
Answer receive_answer(int connection, int gone_fd, const Deadline& deadline);

/// An error as Cloud Hypervisor tells it: a JSON array of texts.
Answer error_answer(unsigned status, const std::string& text);

/// The answer as it is sent, with "Connection: close": the client connects anew for its next request.
std::string to_text(const Answer& answer);

}  // namespace husk::ch
