// SPDX-License-Identifier: Apache-2.0
#include "agent/network/sysctls.hpp"

#include <fcntl.h>

#include <algorithm>
#include <charconv>
#include <sstream>
#include <vector>

#include "lib/base/error.hpp"
#include "lib/base/files.hpp"
#include "lib/base/log.hpp"
#include "lib/guestcomm/protocol/carried_network.hpp"

namespace husk::agent {
namespace {

constexpr std::size_t max_value = 64u << 10;
constexpr const char* reserved_ports = "ipv4/ip_local_reserved_ports";

UniqueFd open_network_parameters() {
  return UniqueFd{
      check_sys(::open("/proc/sys/net", O_PATH | O_DIRECTORY | O_CLOEXEC), "open /proc/sys/net")};
}

/// The kernel writes tabs between numbers.
std::string one_spaced(const std::string& text) {
  std::istringstream words(text);
  std::string made;
  for (std::string word; words >> word;) made += (made.empty() ? "" : " ") + word;
  return made;
}

void check_name(const std::string& name) {
  std::istringstream parts(name);
  bool is_good = !name.empty() && name.front() != '/';
  for (std::string part; std::getline(parts, part, '/');)
    is_good = is_good && !part.empty() && part != "." && part != "..";
  if (!is_good)
    throw Error(Errc::invalid_argument, "sysctl net/" + name.substr(0, 128) + ": not a valid name");
}

bool has_link(int directory, const std::string& link) {
  for (const char* family : {"ipv4/conf/", "ipv6/conf/"})
    if (find_in_root(directory, family + link, O_PATH)) return true;
  return false;
}

std::string read_value(int directory, const std::string& name) {
  return one_spaced(read_all(open_in_root(directory, name, O_RDONLY).get(), max_value, name));
}

void write_if_different(int directory, const std::string& name, const std::string& value) {
  if (read_value(directory, name) == one_spaced(value)) return;
  write_all(open_in_root(directory, name, O_WRONLY).get(), value);
}

void apply_one(int directory, const std::string& name, const std::string& value) {
  check_name(name);
  try {
    write_if_different(directory, name, value);
  } catch (const Error& error) {
    const std::string link = link_of_sysctl(name);
    if (error.sys_errno() != ENOENT || (!link.empty() && !has_link(directory, link)))
      throw error.within("sysctl net/" + name);
    log(LogLevel::info, "sysctl net/" + name + ": unknown to this kernel");
  }
}

/// A parameter of all links is written through to each.
int rank(const std::string& name) {
  if (name.find("/conf/") == std::string::npos) return 0;
  if (name.find("/conf/all/") != std::string::npos) return 1;
  return name.find("/conf/default/") != std::string::npos ? 2 : 3;
}

using Range = std::pair<unsigned, unsigned>;

std::optional<Range> parse_range(const std::string& text) {
  const auto parse = [&](std::size_t begin, std::size_t end) -> std::optional<unsigned> {
    unsigned number = 0;
    const auto [rest, failure] = std::from_chars(text.data() + begin, text.data() + end, number);
    if (failure != std::errc{} || rest != text.data() + end || number > UINT16_MAX) return {};
    return number;
  };
  const std::size_t dash = text.find('-');
  const auto first = parse(0, std::min(dash, text.size()));
  const auto last = dash == std::string::npos ? first : parse(dash + 1, text.size());
  if (!first || !last || *last < *first) return {};
  return Range{*first, *last};
}

std::string text_of(std::vector<Range> ranges) {
  std::ranges::sort(ranges);
  std::vector<Range> joined;
  for (const Range& range : ranges) {
    if (!joined.empty() && range.first <= joined.back().second + 1) {
      joined.back().second = std::max(joined.back().second, range.second);
    } else {
      joined.push_back(range);
    }
  }
  std::string text;
  for (const auto& [first, last] : joined) {
    text += (text.empty() ? "" : ",") + std::to_string(first);
    if (last != first) text += "-" + std::to_string(last);
  }
  return text;
}

}  // namespace

std::string link_of_sysctl(const std::string& name) {
  for (const char* kind : {"ipv4/conf/", "ipv6/conf/", "ipv4/neigh/", "ipv6/neigh/"}) {
    if (!name.starts_with(kind)) continue;
    const std::size_t begin = std::string_view(kind).size(), end = name.rfind('/');
    if (end == std::string::npos || end <= begin) return {};
    const std::string link = name.substr(begin, end - begin);
    return link == "all" || link == "default" ? "" : link;
  }
  return {};
}

void apply_network_sysctls(const Sysctls& want) {
  const UniqueFd directory = open_network_parameters();
  for (int turn = 0; turn <= 3; ++turn)
    for (const auto& [name, value] : want)
      if (rank(name) == turn) apply_one(directory.get(), name, value);
}

std::optional<std::string> with_host_ports(const std::string& ports) {
  std::vector<Range> ranges{{guestcomm::first_host_port, guestcomm::last_host_port}};
  std::istringstream parts(one_spaced(ports));
  for (std::string part; std::getline(parts, part, ',');) {
    const auto range = parse_range(part);
    if (!range) return {};
    ranges.push_back(*range);
  }
  return text_of(std::move(ranges));
}

void reserve_host_ports(const std::optional<std::string>& wanted) {
  const UniqueFd directory = open_network_parameters();
  const std::string base = wanted ? *wanted : read_value(directory.get(), reserved_ports);
  // The kernel refuses with its own words a setting that cannot be read.
  apply_one(directory.get(), reserved_ports, with_host_ports(base).value_or(base));
}

}  // namespace husk::agent
