// SPDX-License-Identifier: Apache-2.0
#include "agent/setup/user.hpp"

#include <fcntl.h>
#include <grp.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <set>

#include "lib/base/error.hpp"
#include "lib/base/files.hpp"
#include "lib/base/log.hpp"
#include "lib/base/parse_number.hpp"

namespace husk::agent {
namespace {

constexpr std::size_t max_passwd_bytes = 4u << 20;

/// The image's file: it may be a pipe, a device, or endless.
std::string read_passwd(int root_fd) {
  try {
    const UniqueFd file = find_in_root(root_fd, "/etc/passwd", O_RDONLY | O_NONBLOCK | O_NOCTTY);
    if (!file) return {};
    struct stat status {};
    check_sys(::fstat(file.get(), &status), "stat /etc/passwd");
    if (!S_ISREG(status.st_mode)) return {};
    return read_all(file.get(), max_passwd_bytes, "/etc/passwd");
  } catch (const Error& error) {
    log(LogLevel::debug, error.what());
    return {};
  }
}

/// name:password:uid:gid:comment:home:shell
std::array<std::string_view, 7> split_fields(std::string_view line) {
  std::array<std::string_view, 7> fields{};
  for (std::string_view& field : fields) {
    const std::size_t colon = line.find(':');
    field = line.substr(0, colon);
    if (colon == std::string_view::npos) break;
    line.remove_prefix(colon + 1);
  }
  return fields;
}

bool has_home(const std::vector<std::string>& environment) {
  for (const std::string& variable : environment) {
    if (variable.starts_with("HOME=") && variable.size() > 5) return true;
  }
  return false;
}

/// getenv(3) finds the first value of a name, but the last one is the one to count (runc:
/// libcontainer/env.go). It keeps its place.
std::vector<std::string> keep_last_values(const std::vector<std::string>& environment) {
  std::vector<std::string> kept;
  std::set<std::string_view> seen;
  for (auto variable = environment.rbegin(); variable != environment.rend(); ++variable) {
    const std::string_view name = std::string_view(*variable).substr(0, variable->find('='));
    if (seen.insert(name).second) kept.push_back(*variable);
  }
  std::reverse(kept.begin(), kept.end());
  return kept;
}

}  // namespace

void apply_user(const oci::User& user) {
  check_sys(::prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0), "keep capabilities");
  const std::vector<gid_t> groups(user.additional_gids.begin(), user.additional_gids.end());
  check_sys(::setgroups(groups.size(), groups.data()), "set additional groups");
  check_sys(::setresgid(user.gid, user.gid, user.gid), "set gid " + std::to_string(user.gid));
  check_sys(::setresuid(user.uid, user.uid, user.uid), "set uid " + std::to_string(user.uid));
}

std::optional<std::string> find_home(std::string_view passwd, std::uint32_t uid) {
  while (!passwd.empty()) {
    const std::size_t end = passwd.find('\n');
    const auto fields = split_fields(passwd.substr(0, end));
    if (parse_number<std::uint32_t>(fields[2]) == uid) {
      if (fields[5].empty()) return std::nullopt;
      return std::string(fields[5]);
    }
    if (end == std::string_view::npos) break;
    passwd.remove_prefix(end + 1);
  }
  return std::nullopt;
}

std::vector<std::string> complete_environment(int root_fd, const oci::Process& process) {
  std::vector<std::string> environment = keep_last_values(process.env);
  if (has_home(environment)) return environment;
  std::erase_if(environment, [](const std::string& variable) { return variable == "HOME="; });
  environment.push_back("HOME=" + find_home(read_passwd(root_fd), process.user.uid).value_or("/"));
  return environment;
}

}  // namespace husk::agent
