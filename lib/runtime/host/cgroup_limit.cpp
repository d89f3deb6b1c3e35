// SPDX-License-Identifier: Apache-2.0
#include "lib/runtime/host/cgroup_limit.hpp"

#include <algorithm>
#include <string>

#include "lib/base/error.hpp"
#include "lib/base/files.hpp"
#include "lib/base/parse_number.hpp"
#include "lib/base/text.hpp"
#include "lib/runtime/host/cgroup_hierarchies.hpp"

namespace husk::runtime {
namespace {

namespace fs = std::filesystem;

/// "No limit" in cgroup v1 is the largest number of whole pages; no host has an exbibyte.
constexpr std::uint64_t v1_unlimited = 1ULL << 60U;

using Limit = std::optional<std::uint64_t>;

Limit read_limit(const fs::path& file) try {
  std::string text = read_file(file, 64);
  while (!text.empty() && text.back() == '\n') text.pop_back();
  const auto bytes = parse_number<std::uint64_t>(text);  // not "max"
  return bytes && *bytes < v1_unlimited ? bytes : std::nullopt;
} catch (const Error&) {
  return std::nullopt;  // the root has no such file, and the caller's cgroup need not be there
}

Limit lesser(const Limit& a, const Limit& b) {
  if (!a || !b) return a ? a : b;
  return std::min(*a, *b);
}

}  // namespace

Limit memory_limit_in(const fs::path& mount_point, const fs::path& cgroup) {
  Limit least;
  fs::path directory = mount_point;
  for (const fs::path& part : cgroup.lexically_normal().relative_path()) {
    directory /= part;
    for (const char* file : {"memory.max", "memory.limit_in_bytes"})
      least = lesser(least, read_limit(directory / file));
  }
  return least;
}

Limit memory_limit(const fs::path& cgroup) {
  Limit least;
  for (const Hierarchy& hierarchy : find_hierarchies())
    least = lesser(least, memory_limit_in(hierarchy.mount_point, cgroup));
  return least;
}

}  // namespace husk::runtime
