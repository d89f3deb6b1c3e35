// SPDX-License-Identifier: Apache-2.0
#include "lib/hypervisor/vm_user.hpp"

#include <charconv>
#include <fstream>
#include <optional>
#include <string>

namespace husk::hypervisor {
namespace {

std::optional<unsigned> parse_id(const std::string& text) {
  unsigned id = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), id);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return id;
}

/// Field 3 of the entry `name` in /etc/passwd or /etc/group. Not getpwnam: loading the name
/// services costs more than a whole `husk state`.
std::optional<unsigned> look_up(const char* file, const std::string& name) {
  std::ifstream table(file);
  for (std::string line; std::getline(table, line);) {
    if (!line.starts_with(name + ":")) continue;
    const std::size_t start = line.find(':', name.size() + 1) + 1;
    return parse_id(line.substr(start, line.find(':', start) - start));
  }
  return std::nullopt;
}

/// `user = "..."` in libvirt's qemu.conf; a name, or an id with or without "+".
std::optional<std::string> configured(const std::string& key) {
  std::ifstream conf("/etc/libvirt/qemu.conf");
  for (std::string line; std::getline(conf, line);) {
    if (!line.starts_with(key + " ") && !line.starts_with(key + "=")) continue;
    const std::size_t open = line.find('"'), close = line.find('"', open + 1);
    if (close == std::string::npos) continue;
    std::string value = line.substr(open + 1, close - open - 1);
    if (value.starts_with('+')) value.erase(0, 1);
    return value;
  }
  return std::nullopt;
}

unsigned resolve(const char* key, const char* file, const char* fallback) {
  const std::string name = configured(key).value_or(fallback);
  if (const auto id = parse_id(name)) return *id;
  return look_up(file, name).value_or(0);
}

}  // namespace

VmUser find_qemu_user() {
  return {.uid = resolve("user", "/etc/passwd", "libvirt-qemu"),
          .gid = resolve("group", "/etc/group", "kvm")};
}

}  // namespace husk::hypervisor
