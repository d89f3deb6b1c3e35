// SPDX-License-Identifier: Apache-2.0
// Requests about the VM and its agent. See also network.hpp and dns.hpp.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/guestcomm/protocol/done.hpp"
#include "lib/guestcomm/protocol/protocol_range.hpp"

namespace husk::guestcomm {

/// Every connection, first. The host says what it speaks. The agent answers with what the agent speaks, up to the
/// protocol that this connection speaks from then on; agents of protocol 3 may answer with all.
struct Hello {
  static constexpr std::string_view method = "hello";
  using Result = Hello;
  ProtocolRange protocols = own_protocols;
  std::string version;  ///< of the program, for people
  std::string secret;   ///< the VM's, said by the host only; empty in the answer
  /// The host's clock, microseconds since 1970; empty in the answer, and from hosts before clock_protocol. The
  /// agent sets the guest's clock by it, before it answers.
  std::optional<std::int64_t> host_time_us = {};
};

/// The VM's keeper, for who connects to "localhost" in the container's namespace on the host. To 127.0.0.1, or ::1
/// if nobody listens there: TCP. Each direction has a stream of its own, which ends with it.
struct ConnectPort {
  static constexpr std::string_view method = "connect_port";
  using Result = Done;
  std::uint16_t port = 0;
  std::string to_container, from_container;  ///< tokens
};

/// Gives a VM of the pool, which has booted with husk.spare and has run nothing yet, to a container. The guest knows the
/// host by another secret from then on, and powers off after its last connection. Refused (wrong_state) the second
/// time, and by a guest that has not booted for the pool.
struct ClaimVm {
  static constexpr std::string_view method = "claim_vm";
  using Result = Done;
  static constexpr std::size_t max_entropy_bytes = 256;
  std::string secret;   ///< 32 lower-case hex digits
  std::string entropy;  ///< text that nobody can guess, for the guest's random numbers
};

/// Where the guest's time went, most recently; by its own clock, microseconds since its kernel began.
struct GuestSpan {
  std::string name;  ///< without control characters once it is received
  std::int64_t begin_us = 0, end_us = 0;
};
struct GuestTrace {
  static constexpr std::size_t max_spans = 256;
  std::int64_t now_us = 0;  ///< when it answered
  std::vector<GuestSpan> spans;
};

/// husk --trace: what the agent has not told yet.
struct TakeTrace {
  static constexpr std::string_view method = "trace";
  using Result = GuestTrace;
};

/// The memory that the guest has beside what it booted with, and the processors that it uses.
struct GuestSize {
  std::uint64_t plugged_mib = 0;
  unsigned vcpus = 0;
  bool operator==(const GuestSize&) const = default;
};

/// The VM is being given memory, or some is being taken back: has the guest use what has come, and so many of its
/// processors, and limits its containers to that. Answered with what the guest has: at once where memory goes, else as
/// soon as that is `wanted`, or when nothing changes any more.
struct ResizeGuest {
  static constexpr std::string_view method = "resize_guest";
  using Result = GuestSize;
  GuestSize wanted;
};
/// The protocol that has it.
inline constexpr int resize_protocol = 5;

void to_json(nlohmann::json& json, const Hello& v);
void from_json(const nlohmann::json& json, Hello& v);
void to_json(nlohmann::json& json, const ConnectPort& v);
void from_json(const nlohmann::json& json, ConnectPort& v);
void to_json(nlohmann::json& json, const ClaimVm& v);
void from_json(const nlohmann::json& json, ClaimVm& v);
void to_json(nlohmann::json& json, const GuestTrace& v);
void from_json(const nlohmann::json& json, GuestTrace& v);
void to_json(nlohmann::json& json, const GuestSize& v);
void from_json(const nlohmann::json& json, GuestSize& v);
void to_json(nlohmann::json& json, const ResizeGuest& v);
void from_json(const nlohmann::json& json, ResizeGuest& v);
void to_json(nlohmann::json& json, const TakeTrace& v);
void from_json(const nlohmann::json& json, TakeTrace& v);

}  // namespace husk::guestcomm
