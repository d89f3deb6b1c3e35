// SPDX-License-Identifier: Apache-2.0
#include "lib/runtime/host/device_list.hpp"

#include <fcntl.h>
#include <unistd.h>

#include "lib/base/device_filter.hpp"
#include "lib/base/error.hpp"
#include "lib/base/files.hpp"

namespace husk::runtime {
namespace {

constexpr unsigned memory = 1, tty = 5, misc = 10,
                   pts = 136;  // Documentation/admin-guide/devices.txt

std::vector<DeviceFilterRule> filter_rules(const std::vector<AllowedDevice>& allowed) {
  std::vector<DeviceFilterRule> rules{{.allow = true, .access = device_making}};
  for (const AllowedDevice& device : allowed)
    rules.push_back({.allow = true,
                     .type = BPF_DEVCG_DEV_CHAR,
                     .major = device.major,
                     .minor = device.minor < 0 ? std::nullopt
                                               : std::optional(static_cast<unsigned>(device.minor)),
                     .access = device_reading | device_writing});
  return rules;
}

/// A device that the cgroup above denies stays denied, as in a container without it.
void allow(const std::filesystem::path& cgroup, const std::string& rule) {
  const std::filesystem::path file = cgroup / "devices.allow";
  const UniqueFd opened{
      check_sys(::open(file.c_str(), O_WRONLY | O_CLOEXEC), "open " + file.string())};
  if (::write(opened.get(), rule.data(), rule.size()) < 0 && errno != EPERM)
    throw_errno("write \"" + rule + "\" to " + file.string());
}

}  // namespace

std::vector<AllowedDevice> allowed_devices() {
  return {{memory, 3}, {memory, 5}, {memory, 7}, {memory, 8}, {memory, 9},  // null zero full random
          {tty, 0},    {tty, 2},    {pts, -1},                              // tty ptmx
          {misc, 200}, {misc, 232}, {misc, 238}, {misc, 241}};  // tun kvm vhost-net vhost-vsock
}

std::vector<std::string> device_rules(const std::vector<AllowedDevice>& allowed) {
  std::vector<std::string> rules{"c *:* m", "b *:* m"};
  for (const AllowedDevice& device : allowed)
    rules.push_back("c " + std::to_string(device.major) + ":" +
                    (device.minor < 0 ? "*" : std::to_string(device.minor)) + " rw");
  return rules;
}

void restrict_devices(const std::filesystem::path& cgroup, bool v2) {
  if (v2) return attach_device_filter(cgroup, filter_rules(allowed_devices()));
  if (!std::filesystem::exists(cgroup / "devices.deny")) return;
  write_existing(cgroup / "devices.deny", "a");
  for (const std::string& rule : device_rules(allowed_devices())) allow(cgroup, rule);
}

}  // namespace husk::runtime
