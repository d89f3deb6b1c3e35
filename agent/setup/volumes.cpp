// SPDX-License-Identifier: Apache-2.0
#include "agent/setup/volumes.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <climits>
#include <iterator>
#include <set>
#include <string_view>

#include "agent/setup/shared_files.hpp"
#include "lib/base/error.hpp"
#include "lib/base/mountinfo.hpp"
#include "lib/base/unique_fd.hpp"
#include "lib/guestcomm/protocol/share.hpp"

namespace husk::agent {
namespace {

namespace fs = std::filesystem;

const std::string volumes_folder =
    std::string(guestcomm::share_mount_point) + "/" + guestcomm::share_volumes + "/";

/// The name of the volume that the link at `source` leads to; empty: `source` is no link to a volume.
std::string find_volume(const std::string& source) {
  std::array<char, PATH_MAX> target{};
  const ssize_t size = ::readlink(source.c_str(), target.data(), target.size());
  if (size < 0 && errno != EINVAL && errno != ENOENT) throw_errno("read link " + source);
  if (size < 0) return {};
  return fs::path(std::string_view(target.data(), static_cast<std::size_t>(size))).filename();
}

/// The name of the volume that is mounted at `mount`, or has a mount there.
std::string name_of(const fs::path& mount) {
  const std::string below = mount.string().substr(volumes_folder.size());
  return below.substr(0, below.find('/'));
}

}  // namespace

std::vector<std::string> bind_sources(const oci::Spec& spec) {
  std::vector<std::string> sources;
  for (const oci::Mount& mount : spec.mounts)
    if (is_bind(mount)) sources.push_back(mount.source.value_or(""));
  return sources;
}

void mount_volumes(const std::vector<std::string>& sources) noexcept {
  // O_PATH alone stops in front of such a mount (open(2), path_resolution(7)); O_DIRECTORY does not.
  for (const std::string& source : sources)
    const UniqueFd there{::open(source.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC)};
}

std::vector<fs::path> mounted_volumes() {
  std::vector<fs::path> mounts;
  for (const MountEntry& mount : load_mount_table("/proc/self/mountinfo"))
    if (mount.mount_point.string().starts_with(volumes_folder)) mounts.push_back(mount.mount_point);
  return mounts;
}

void let_go_of_volumes(const std::vector<fs::path>& mounted, const std::vector<std::string>& used) {
  std::set<std::string> names;
  for (const std::string& source : used) names.insert(find_volume(source));
  std::vector<fs::path> unused;
  std::ranges::copy_if(mounted, std::back_inserter(unused),
                       [&](const fs::path& mount) { return !names.contains(name_of(mount)); });
  let_go_of_files(unused);
}

}  // namespace husk::agent
