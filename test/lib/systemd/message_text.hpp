// SPDX-License-Identifier: Apache-2.0
// The arguments of a D-Bus message as text, so that a test can compare them.
#pragma once

#include <systemd/sd-bus.h>

#include <map>
#include <string>

namespace husk::systemd {

/// Reads the next value: "true", "5", "text", "[a, b]", "(a, b)", a descriptor as its number. Empty at
/// the end of a container.
std::string read_value(sd_bus_message* message);

/// Reads an array "a(sv)": names and values, each value with its D-Bus type in front, as in "u 5".
/// The last value of a name counts, as for systemd.
std::map<std::string, std::string> read_properties(sd_bus_message* message);

}  // namespace husk::systemd
