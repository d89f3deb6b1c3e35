// SPDX-License-Identifier: Apache-2.0
#include "lib/hypervisor/vm_user.hpp"

#include <algorithm>
#include <fstream>
#include <optional>
#include <string>
#include <string_view>

#include "lib/base/advice.hpp"
#include "lib/base/error.hpp"
#include "lib/base/parse_number.hpp"
#include "lib/base/text.hpp"

namespace husk::hypervisor {
namespace {

/// Field 3 of the entry `name`. Not getpwnam: loading the name services costs more than a whole
/// `husk state`.
std::optional<unsigned> look_up(const UserFiles& files, const std::string& name) {
  for (const std::filesystem::path& file : files.passwd) {
    std::ifstream table(file);
    for (std::string line; std::getline(table, line);) {
      if (!line.starts_with(name + ":")) continue;
      const std::size_t start = line.find(':', name.size() + 1) + 1;
      return parse_number<unsigned>(line.substr(start, line.find(':', start) - start));
    }
  }
  return std::nullopt;
}

std::string describe(const std::vector<std::filesystem::path>& files) {
  std::string text;
  for (const std::filesystem::path& file : files)
    text += (text.empty() ? "" : " or ") + file.string();
  return text;
}

std::string_view without_blanks(std::string_view text) {
  return text.substr(std::min(text.find_first_not_of(" \t"), text.size()));
}

/// The value of a line `key = "value"` as libvirt reads it (virconf.c): blanks anywhere, quotes of either
/// kind.
std::optional<std::string> value_in(std::string_view line, std::string_view key) {
  line = without_blanks(line);
  if (!line.starts_with(key)) return std::nullopt;
  line = without_blanks(line.substr(key.size()));
  if (!line.starts_with('=')) return std::nullopt;
  line = without_blanks(line.substr(1));
  if (!line.starts_with('"') && !line.starts_with('\'')) return std::nullopt;
  const std::size_t close = line.find(line.front(), 1);
  if (close == std::string_view::npos) return std::nullopt;
  return std::string(line.substr(1, close - 1));
}

/// The value of `key` in libvirt's qemu.conf; a name, or an id with or without "+".
std::optional<std::string> configured(const std::filesystem::path& qemu_conf,
                                      const std::string& key) {
  std::ifstream conf(qemu_conf);
  for (std::string line; std::getline(conf, line);) {
    std::optional<std::string> value = value_in(line, key);
    if (!value) continue;
    if (value->starts_with('+')) value->erase(0, 1);
    return value;
  }
  return std::nullopt;
}

}  // namespace

VmUser find_qemu_user(const UserFiles& files) {
  if (const std::optional<std::string> name = configured(files.qemu_conf, "user")) {
    if (const auto id = parse_number<unsigned>(*name)) return {.uid = *id};
    if (const auto id = look_up(files, *name)) return {.uid = *id};
    throw Error(Errc::unsupported, "QEMU's user " + quote(*name) + " of " +
                                       files.qemu_conf.string() + " is not in " +
                                       describe(files.passwd));
  }
  for (const char* const name : {"libvirt-qemu", "qemu"})
    if (const auto id = look_up(files, name)) return {.uid = *id};
  throw Error(Errc::unsupported, "QEMU's user: neither libvirt-qemu nor qemu is in " +
                                     describe(files.passwd) + "; " + advice::libvirt);
}

}  // namespace husk::hypervisor
