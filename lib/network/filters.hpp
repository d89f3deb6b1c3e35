// SPDX-License-Identifier: Apache-2.0
// Sorts the frames that arrive at a link by classic BPF programs (bpf(4)) of the kernel's traffic control,
// and sends them on by its action "mirred". Both are in stock kernels; and a program, unlike the
// classifier u32, can drop a frame without another action.
#pragma once

#include <linux/filter.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "lib/network/netlink.hpp"

namespace husk::network {

using FrameProgram = std::vector<sock_filter>;

/// Answers with a verdict: leaves to the namespace's own stack what answers a socket of its own,
/// that is UDP and TCP to one of the reserved ports. No opinion of all else.
FrameProgram leave_reserved_ports();
/// Drops what does not come from that MAC address ("02:42:..."). No opinion of what does.
FrameProgram drop_other_sources(const std::string& mac);
/// Matches what the stack learns its neighbours and routers from: ARP, neighbour solicitation and
/// advertisement, router advertisement.
FrameProgram match_neighbour_discovery();
FrameProgram match_all();

/// The action for frames that a program matches.
enum class Forwarding { copy, redirect };

/// A filter for the frames that arrive at a link; filters are asked by `order` (from 1).
void add_verdict_filter(const RouteSocket& socket, int link, std::uint16_t order,
                        const FrameProgram& program);
void add_forwarding_filter(const RouteSocket& socket, int link, std::uint16_t order,
                           const FrameProgram& program, Forwarding forwarding, int target);

void add_ingress_qdisc(const RouteSocket& socket, int link);
/// Removes the qdisc with all its filters; fine if there is none.
void remove_ingress_qdisc(const RouteSocket& socket, int link);

struct IngressState {
  std::string kind;       ///< "ingress", "clsact"
  bool is_husks = false;  ///< it has no filter but those that husk adds
  int target = 0;         ///< index of the link that they send all to; 0: it is gone
};
/// Returns nothing if there is no such qdisc.
std::optional<IngressState> find_ingress(const RouteSocket& socket, int link);

}  // namespace husk::network
