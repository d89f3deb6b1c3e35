// SPDX-License-Identifier: Apache-2.0
// A property that a caller wants on its container's unit, from annotations such as
// "org.systemd.property.TimeoutStopUSec": "uint64 30000000" (runc's docs/systemd.md).
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <variant>
#include <vector>

namespace husk::systemd {

struct UnitProperty {
  using Value = std::variant<bool, std::int32_t, std::uint32_t, std::int64_t, std::uint64_t, double,
                             std::string, std::vector<std::string>>;
  std::string name;
  Value value;
  friend bool operator==(const UnitProperty&, const UnitProperty&) = default;
};

/// The value in GVariant's text form: true, -5, "uint64 30", 1.5, 'text', ['a', 'b']. A number
/// without a type is an int32, as GVariant has it. Throws invalid_argument for anything else.
UnitProperty::Value parse_property_value(const std::string& text);

/// Every annotation "org.systemd.property.<Name>", sorted by name. "<Name>Sec" (seconds, any
/// number) becomes "<Name>USec", as runc does: on D-Bus there are microseconds only. Throws
/// invalid_argument that names the annotation.
std::vector<UnitProperty> unit_properties(const std::map<std::string, std::string>& annotations);

}  // namespace husk::systemd
