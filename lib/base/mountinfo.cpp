// SPDX-License-Identifier: Apache-2.0
#include "lib/base/mountinfo.hpp"

#include <algorithm>
#include <fstream>
#include <span>

#include "lib/base/error.hpp"

namespace husk {
namespace {

/// Each single blank ends a field: the source of a mount may be empty.
std::vector<std::string_view> split(std::string_view line) {
  std::vector<std::string_view> fields;
  for (;;) {
    const std::size_t end = line.find(' ');
    fields.push_back(line.substr(0, end));
    if (end == std::string_view::npos) return fields;
    line.remove_prefix(end + 1);
  }
}

bool is_escape(std::string_view text) {
  const auto octal = [](char c) { return c >= '0' && c <= '7'; };
  return text.size() == 4 && text[0] == '\\' && text[1] <= '3' &&
         std::all_of(text.begin() + 1, text.end(), octal);
}

std::string decode(std::string_view field) {
  std::string text;
  while (!field.empty()) {
    const std::string_view next = field.substr(0, 4);
    if (is_escape(next)) {
      text += static_cast<char>((next[1] - '0') * 64 + (next[2] - '0') * 8 + (next[3] - '0'));
      field.remove_prefix(4);
    } else {
      text += next.front();
      field.remove_prefix(1);
    }
  }
  return text;
}

bool has_tag(std::span<const std::string_view> optional, std::string_view tag) {
  return std::ranges::any_of(optional, [&](auto field) { return field.starts_with(tag); });
}

std::string find_tag(std::span<const std::string_view> optional, std::string_view tag) {
  const auto found =
      std::ranges::find_if(optional, [&](auto field) { return field.starts_with(tag); });
  return found == optional.end() ? std::string() : std::string(*found);
}

}  // namespace

MountEntry parse_mount_entry(std::string_view line) {
  // 36 35 98:0 /root /mount/point rw,noatime optional:1 - ext4 /dev/sda1 rw,errors=continue
  constexpr std::size_t before_optional = 6, after_optional = 4;
  const std::vector<std::string_view> fields = split(line);
  const auto dash =
      std::find(fields.begin() + std::min<std::ptrdiff_t>(before_optional, std::ssize(fields)),
                fields.end(), "-");
  if (static_cast<std::size_t>(fields.end() - dash) < after_optional)
    throw Error(Errc::internal, "mount table: malformed line");
  const std::span<const std::string_view> optional(fields.begin() + before_optional, dash);
  return {.device = std::string(fields[2]),
          .root = decode(fields[3]),
          .mount_point = decode(fields[4]),
          .is_plain_peer = has_tag(optional, "shared:") && !has_tag(optional, "master:"),
          .master = find_tag(optional, "master:"),
          .options = std::string(fields[5]),
          .type = decode(dash[1]),
          .super_options = std::string(dash[3])};
}

std::vector<MountEntry> load_mount_table(const std::filesystem::path& path) {
  std::ifstream table(path);
  if (!table) throw_errno("open " + path.string());
  std::vector<MountEntry> entries;
  for (std::string line; std::getline(table, line);) entries.push_back(parse_mount_entry(line));
  if (table.bad()) throw_errno("read " + path.string());
  return entries;
}

}  // namespace husk
