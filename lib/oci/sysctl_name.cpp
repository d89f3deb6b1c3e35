// SPDX-License-Identifier: Apache-2.0
#include "lib/oci/sysctl_name.hpp"

#include <algorithm>

namespace husk::oci {
namespace {

bool is_sane(const std::string& part) {
  return !part.empty() && part.front() != '.' && part.find("..") == std::string::npos;
}

char swap_separators(char letter) {
  if (letter == '.') return '/';
  return letter == '/' ? '.' : letter;
}

}  // namespace

std::optional<std::string> parse_sysctl_name(const std::string& name) {
  const auto first = name.find_first_of("./");
  if (first == std::string::npos) return std::nullopt;
  std::string path = name;
  if (name[first] == '.') std::transform(path.begin(), path.end(), path.begin(), swap_separators);
  for (std::size_t begin = 0; begin <= path.size();) {
    const auto end = std::min(path.find('/', begin), path.size());
    if (!is_sane(path.substr(begin, end - begin))) return std::nullopt;
    begin = end + 1;
  }
  return path;
}

}  // namespace husk::oci
