// SPDX-License-Identifier: Apache-2.0
// What host and agent say to each other. JSON-RPC 2.0 in frames (frame.hpp) on the control port,
// several connections at once; raw bytes on the stream port.
//
//   method            params           result  sent by
//   hello             Hello            Hello   every connection, first
//   create_container  CreateContainer  {}      husk create
//   create_process    CreateProcess    {}      husk exec
//   configure_network Network          {}      husk start: the whole picture (network.hpp), which is
//                                              compared with what is there; may be repeated
//   start_process     ProcessRef       {}      husk start, husk exec
//   resize_terminal   ResizeTerminal   {}      husk-shim
//   signal_process    SignalProcess    {}      husk kill, husk-shim
//   own_process       ProcessRef       {}      husk-shim: from then on this connection owns it
//   list_processes    {id}             ProcessList   husk ps
//   pause_container   {id}             {}      husk pause: answers when nothing of it runs any more
//   resume_container  {id}             {}      husk resume
//   container_statistics  {id}         ContainerStatistics (statistics.hpp)    husk events
//   watch_container   {id}             {}      husk events: from then on this connection gets its
//                                              container_events
//   update_container  UpdateContainer  {}      husk update: limits of its cgroup; others stay
//   delete_container  {id}             {}      husk delete, in a VM that lives on
//   answer_dns        DnsAnswer        {}      husk-shim, to a dns_query
//   connect_port      ConnectPort      {}      the VM's keeper, for who connects to "localhost" in
//                                              the container's namespace on the host
//   trace             {}               GuestTrace    husk --trace: what it has not told yet
//
//   notification      params           sent by
//   process_exited    ProcessExited    the agent, once, to the connection that owns the process,
//                                      after its output was sent to the end and closed
//   container_event   ContainerEvent   the agent, to who watches the container; "stopped" is the last
//   sd_notify         SdNotify         the agent, to the connection that owns a container's first
//                                      process: what the container said (sd_notify(3))
//   dns_query         DnsQuery         the agent, to a connection that owns a container's first
//                                      process, where it was told of a DNS server (dns.hpp)
//
// Ownership and leases: a process belongs to the connection that had it made, until another one
// owns it. When the connection that it belongs to closes, the agent kills it (SIGKILL); with a
// container's first process goes the whole container. When the last control
// connection of the guest closes, the agent powers off. So a process ends with its shim, and a VM
// with the last process on the host that has to do with it.
//
// Stream connection: the host connects to stream_port and sends "HUSK-STREAM <secret> <token>\n"
// within 30 s (token: 32 lower-case hex digits it made up); the agent answers "OK\n" and keeps the
// connection for the request that names the token. stdin: host to guest, end of file by shutdown
// or close. stdout, stderr: guest to host, closed at end of file. terminal: both directions; its
// closing by the host is a hang-up. No framing. Unclaimed streams are dropped after 60 s.
//
// Announcement: when the agent listens on both ports it connects once to the host (CID 2) on the
// port given by husk.announce=PORT on the kernel command line, sends "HUSK-AGENT <oldest> <newest>\n",
// the protocols that it speaks, and closes.
//
// Protocols: each side says which it speaks (protocol_range.hpp), so that a newer husk can deal with the
// agent of a VM that was started before an upgrade. Both speak the newest one that they share; the agent
// refuses the hello of a host with which it shares none.
//
// The agent accepts connections from CID 2 only, and with husk.privileged_ports on the kernel
// command line (where the host's kernel is the vsock device) from ports below 1024 only. Who does
// not say the VM's secret in its hello or stream header gets nothing. Before hello a frame has
// 4 KiB at most.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "lib/base/error.hpp"
#include "lib/guestcomm/protocol/protocol_range.hpp"
#include "lib/guestcomm/protocol/stdio.hpp"
#include "lib/oci/spec.hpp"

namespace husk::guestcomm {

inline constexpr std::uint32_t control_port = 1024;
inline constexpr std::uint32_t stream_port = 1025;
inline constexpr std::uint32_t host_cid = 2;

/// In the guest: where the VM's virtio-fs share (tag "husk") is mounted. A container's rootfs is
/// <share>/<id>/rootfs, its pinned bind sources <share>/<id>/mounts/<n>.
inline constexpr const char* share_mount_point = "/run/husk/shared";
inline constexpr const char* share_tag = "husk";
/// In the share's top, readable by root only: the VM's secret, 32 hex digits.
inline constexpr const char* share_secret_file = "secret";

struct Hello {
  ProtocolRange protocols = own_protocols;
  std::string version;  ///< of the program, for people
  std::string secret;   ///< the VM's, said by the host only; empty in the answer
};

/// One process of a container. By name, which the host makes up; the first one's is empty.
struct ProcessRef {
  std::string container, process;
  bool operator==(const ProcessRef&) const = default;
};

using StreamTokens = Stdio<std::string>;

/// The spec as the guest shall apply it: root.path and the source of every bind mount are guest
/// paths below share_mount_point, of the hooks only startContainer is left, a network namespace means the guest's
/// own.
struct CreateContainer {
  std::string id;
  oci::Spec spec;
  StreamTokens stdio;
  /// In the container: where it shall find a socket for sd_notify(3), in place of the one that is
  /// there and leads nowhere. Empty: none.
  std::string notify_socket{};
  /// For startContainer hooks: the container's state as JSON, in which pid is to become what they
  /// see. Empty: there are none.
  std::string hook_state{};
};

/// A process that joins a container, which has been created and has not ended.
struct CreateProcess {
  ProcessRef process;  ///< a name that no other process of the container has: [0-9a-z-], 1 to 64
  oci::Process spec;
  StreamTokens stdio;
  std::string cgroup;  ///< below the container's own, which must be there; empty: that itself
};

struct ResizeTerminal {
  ProcessRef process;
  WindowSize size;
};

struct SignalProcess {
  ProcessRef process;
  int signal = 0;
  bool all = false;  ///< every process of the container
};

struct ProcessExited {
  ProcessRef process;
  int status = 0;  ///< 0-255: the exit code, or 128 + signal
};

/// Lines "NAME=VALUE", which the host picks from.
inline constexpr std::size_t max_notify_bytes = 4096;
struct SdNotify {
  std::string text;  ///< of max_notify_bytes at most; need not be UTF-8 in the guest
};

/// As the container sees it, for people.
struct ListedProcess {
  int pid = 0, parent = 0;  ///< 0: a parent outside of the container
  std::uint32_t uid = 0;
  std::uint64_t cpu_ms = 0;  ///< used so far
  std::string command;       ///< cut; without control characters once it is received
};
struct ProcessList {
  std::vector<ListedProcess> processes;
  bool is_cut = false;  ///< there are more
};

struct ContainerId {
  std::string id;
};

struct UpdateContainer {
  std::string id;
  oci::Resources resources;
};

/// To 127.0.0.1, or ::1 if nobody listens there: TCP. Each direction has a stream of its own, which
/// ends with it.
struct ConnectPort {
  std::uint16_t port = 0;
  std::string to_container, from_container;  ///< tokens
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

void to_json(nlohmann::json& json, const Hello& v);
void from_json(const nlohmann::json& json, Hello& v);
void to_json(nlohmann::json& json, const ProcessRef& v);
void from_json(const nlohmann::json& json, ProcessRef& v);
void to_json(nlohmann::json& json, const CreateContainer& v);
void from_json(const nlohmann::json& json, CreateContainer& v);
void to_json(nlohmann::json& json, const CreateProcess& v);
void from_json(const nlohmann::json& json, CreateProcess& v);
void to_json(nlohmann::json& json, const ResizeTerminal& v);
void from_json(const nlohmann::json& json, ResizeTerminal& v);
void to_json(nlohmann::json& json, const SignalProcess& v);
void from_json(const nlohmann::json& json, SignalProcess& v);
void to_json(nlohmann::json& json, const ProcessExited& v);
void from_json(const nlohmann::json& json, ProcessExited& v);
void to_json(nlohmann::json& json, const SdNotify& v);
void from_json(const nlohmann::json& json, SdNotify& v);
void to_json(nlohmann::json& json, const ProcessList& v);
void from_json(const nlohmann::json& json, ProcessList& v);
void to_json(nlohmann::json& json, const ContainerId& v);
void from_json(const nlohmann::json& json, ContainerId& v);
void to_json(nlohmann::json& json, const UpdateContainer& v);
void from_json(const nlohmann::json& json, UpdateContainer& v);
void to_json(nlohmann::json& json, const ConnectPort& v);
void from_json(const nlohmann::json& json, ConnectPort& v);
void to_json(nlohmann::json& json, const GuestTrace& v);
void from_json(const nlohmann::json& json, GuestTrace& v);

/// The outcome of a request.
using Outcome = std::variant<nlohmann::json, Error>;

// JSON-RPC 2.0 envelopes. An Error travels as {"code": Errc, "message": text,
// "data": {"errno": n}}.
struct Request {
  std::optional<std::int64_t> id;  ///< empty: a notification
  std::string method;
  nlohmann::json params;
};
struct Response {
  std::int64_t id = 0;
  Outcome outcome;
};

std::string encode(const Request& request);
std::string encode(const Response& response);
/// Throw invalid_argument on anything that is not what it should be; never on content of params.
Request decode_request(const std::string& payload);
Response decode_response(const std::string& payload);
bool is_request(const std::string& payload);  ///< has a "method": a request or notification

}  // namespace husk::guestcomm
