// SPDX-License-Identifier: Apache-2.0
#include "agent/request_check.hpp"

#include <filesystem>

#include "lib/base/error.hpp"
#include "lib/oci/check.hpp"

namespace husk::agent {
namespace {

/// By the text alone, which has no "..": links below are the host's, and the host is believed
/// there.
void check_below(const std::string& folder, const std::string& path, const std::string& field) {
  const bool normal = std::filesystem::path(path).lexically_normal().native() == path;
  if (!normal || !path.starts_with(folder) || path.size() == folder.size()) {
    throw Error(Errc::invalid_argument, field + ": is not below " + folder);
  }
}

}  // namespace

void check_create_request(const guestcomm::CreateContainer& request) {
  oci::check_container_id(request.id);
  const std::string folder = std::string(guestcomm::share_mount_point) + "/" + request.id + "/";
  if (request.spec.root) check_below(folder, request.spec.root->path, "root.path");
  for (std::size_t n = 0; n < request.spec.mounts.size(); ++n) {
    const oci::Mount& mount = request.spec.mounts[n];
    if (!is_bind(mount)) continue;
    check_below(folder, mount.source.value_or(""), "mounts[" + std::to_string(n) + "].source");
  }
}

}  // namespace husk::agent
