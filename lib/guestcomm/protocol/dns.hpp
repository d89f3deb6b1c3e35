// SPDX-License-Identifier: Apache-2.0
// Questions to the DNS server on the loopback of the container's network namespace on the host,
// where no VM reaches it: Docker's, for one. The agent takes them in the guest at the same address,
// the shim, which is in that namespace, asks. What is asked and answered is RFC 1035's, and not
// looked into on the way.
#pragma once

#include <cstddef>
#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "lib/guestcomm/protocol/done.hpp"

namespace husk::guestcomm {

inline constexpr const char* dns_address = "127.0.0.11";
inline constexpr std::uint16_t dns_port = 53;
inline constexpr std::size_t max_dns_query_bytes = 4096;
inline constexpr std::size_t max_dns_answer_bytes = 65535;  ///< what its length over TCP can say

/// Notified to a connection that owns a container's first process, where the agent was told of a DNS server.
struct DnsQuery {
  static constexpr std::string_view method = "dns_query";
  std::uint32_t number = 0;  ///< the agent's, for the answer
  bool over_tcp = false;     ///< how it was asked, and shall be
  std::string message;       ///< one, without the length that TCP has before it
};

/// husk-shim.
struct DnsAnswer {
  static constexpr std::string_view method = "answer_dns";
  using Result = Done;
  std::uint32_t number = 0;
  std::string message;  ///< empty: none came
};

// Over TCP each message has its length before it (RFC 1035, 4.2.2).
inline constexpr std::size_t dns_length_bytes = 2;
/// message: of max_dns_answer_bytes at most.
std::string with_dns_length(const std::string& message);
/// The length of the message that `received` begins with; empty: the length itself is not complete.
std::optional<std::size_t> dns_length(std::string_view received);

void to_json(nlohmann::json& json, const DnsQuery& v);
void from_json(const nlohmann::json& json, DnsQuery& v);
void to_json(nlohmann::json& json, const DnsAnswer& v);
void from_json(const nlohmann::json& json, DnsAnswer& v);

}  // namespace husk::guestcomm
