// SPDX-License-Identifier: Apache-2.0
// What a container uses: read from its cgroup, and from the guest's network.
#pragma once

#include <filesystem>
#include <string>

#include "lib/guestcomm/protocol/statistics.hpp"

namespace husk::agent {

/// Reads a cgroup's file with two columns, as many lines as a message takes.
guestcomm::Counters parse_counters(const std::string& text);

/// Reads /proc/net/dev, without loopback.
std::vector<guestcomm::InterfaceStatistics> parse_interfaces(const std::string& text);

/// Leaves out what cannot be read.
guestcomm::ContainerStatistics measure(const std::filesystem::path& cgroup);

}  // namespace husk::agent
