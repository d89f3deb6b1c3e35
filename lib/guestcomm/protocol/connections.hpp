// SPDX-License-Identifier: Apache-2.0
// The connections between host and guest. Messages (rpc.hpp) go over the control port, on several connections
// at once; raw bytes over the stream port.
//
// Control connection: its first message is Hello. Before hello a frame has 4 KiB at most. When the last control
// connection of the guest closes, the agent powers off. So a VM ends with the last process on the host that has
// to do with it.
//
// Stream connection: the host connects to stream_port and sends "HUSK-STREAM <secret> <token>\n"
// within 30 s (token: 32 lower-case hex digits it made up); the agent answers "OK\n" and keeps the
// connection for the request that names the token. stdin: host to guest, end of file by shutdown
// or close. stdout, stderr: guest to host, closed at end of file. terminal: both directions; its
// closing by the host is a hang-up. No framing. Unclaimed streams are dropped after 60 s.
//
// Announcement: when the agent listens on both ports it connects once to the host (CID 2) on the
// port given by husk.announce=PORT on the kernel command line, sends "HUSK-AGENT <oldest> <newest>\n",
// the protocols that it speaks (protocol_range.hpp), and closes.
//
// The agent accepts connections from CID 2 only. Who does not say the VM's secret in its hello or stream header gets
// nothing. With husk.privileged_ports on the kernel command line (the host's kernel is the vsock device, and every user
// of the host can connect) the agent keeps room for connections from ports below 1024, which are root's: of the others
// that have not said the secret, the oldest is dropped when there are too many. Before any_port_protocol the agent
// served ports below 1024 alone.
#pragma once

#include <cstdint>
#include <string_view>

namespace husk::guestcomm {

inline constexpr std::uint32_t control_port = 1024;
inline constexpr std::uint32_t stream_port = 1025;
inline constexpr std::uint32_t host_cid = 2;

// How the lines begin, or what they are.
inline constexpr std::string_view announcement_start = "HUSK-AGENT ";
inline constexpr std::string_view stream_header_start = "HUSK-STREAM ";
inline constexpr std::string_view stream_answer = "OK\n";

}  // namespace husk::guestcomm
