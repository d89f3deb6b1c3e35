// SPDX-License-Identifier: Apache-2.0
#include "agent/setup/device_rules.hpp"

#include <string>
#include <utility>

#include "lib/base/error.hpp"

namespace husk::agent {
namespace {

/// The numbers that mknod(2) takes: of 12 and 20 bits.
constexpr std::int64_t max_major = (1 << 12) - 1, max_minor = (1 << 20) - 1;
constexpr std::uint32_t major_of_memory = 1, major_of_tty = 5, major_of_misc = 10,
                        major_of_pts = 136;  // Documentation/admin-guide/devices.txt

std::optional<unsigned> device_type(const std::optional<std::string>& type) {
  if (type == "c") return BPF_DEVCG_DEV_CHAR;
  if (type == "b") return BPF_DEVCG_DEV_BLOCK;
  return {};
}

unsigned access_bits(const std::string& letters) {
  unsigned bits = 0;
  for (const char letter : letters)
    bits |= letter == 'r' ? device_reading : letter == 'w' ? device_writing : device_making;
  return bits;
}

/// -1 is all, as in runc.
std::optional<std::uint32_t> device_number(const std::optional<std::int64_t>& number,
                                           std::int64_t most, const std::string& field) {
  if (!number || *number == -1) return {};
  if (*number < 0 || *number > most)
    throw Error(Errc::invalid_argument,
                field + ": no device has the number " + std::to_string(*number));
  return static_cast<std::uint32_t>(*number);
}

DeviceFilterRule plan_rule(const oci::DeviceRule& rule, const std::string& field) {
  const std::string access = rule.access.value_or("");
  return {.allow = rule.allow,
          .type = device_type(rule.type),
          .major = device_number(rule.major, max_major, field + ".major"),
          .minor = device_number(rule.minor, max_minor, field + ".minor"),
          .access = access.empty() ? any_device_access : access_bits(access)};
}

/// As for --privileged: then a kernel without filters does as well.
bool allows_all(const oci::Spec& spec) {
  if (!spec.linux_.resources || spec.linux_.resources->devices.empty()) return false;
  const DeviceFilterRule last = plan_rule(spec.linux_.resources->devices.back(), {});
  return last.allow && !last.type && !last.major && !last.minor && last.access == any_device_access;
}

DeviceFilterRule allow_default(std::uint32_t major, std::optional<std::uint32_t> minor) {
  return {.allow = true, .type = BPF_DEVCG_DEV_CHAR, .major = major, .minor = minor};
}

}  // namespace

std::vector<DeviceFilterRule> plan_device_rules(const oci::Spec& spec) {
  std::vector<DeviceFilterRule> rules;
  if (spec.linux_.resources) {
    const auto& given = spec.linux_.resources->devices;
    for (std::size_t i = 0; i < given.size(); ++i)
      rules.push_back(plan_rule(given[i], "linux.resources.devices[" + std::to_string(i) + "]"));
  }
  rules.push_back({.allow = true, .access = device_making});
  for (const std::uint32_t minor : {3U, 5U, 7U, 8U, 9U})  // null, zero, full, random, urandom
    rules.push_back(allow_default(major_of_memory, minor));
  for (const std::uint32_t minor : {0U, 2U})  // tty, ptmx
    rules.push_back(allow_default(major_of_tty, minor));
  rules.push_back(allow_default(major_of_pts, {}));
  rules.push_back(allow_default(major_of_misc, 200));  // net/tun
  return rules;
}

void apply_device_rules(const oci::Spec& spec, const std::filesystem::path& cgroup) {
  if (allows_all(spec)) return;
  step("linux.resources.devices (needs a kernel with CONFIG_CGROUP_BPF)",
       [&] { attach_device_filter(cgroup, plan_device_rules(spec)); });
}

}  // namespace husk::agent
