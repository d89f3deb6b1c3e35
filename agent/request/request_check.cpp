// SPDX-License-Identifier: Apache-2.0
#include "agent/request/request_check.hpp"

#include <filesystem>

#include "lib/base/error.hpp"
#include "lib/guestcomm/protocol/share.hpp"
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

void check_shared_tmpfs(const guestcomm::CreateContainer& request) {
  for (const guestcomm::SharedTmpfs& shared : request.shared_tmpfs)
    if (shared.mount >= request.spec.mounts.size() || !is_bind(request.spec.mounts[shared.mount]))
      throw Error(Errc::invalid_argument,
                  "shared_tmpfs: mounts[" + std::to_string(shared.mount) + "] is not a bind");
}

}  // namespace

void check_create_request(const guestcomm::CreateContainer& request) {
  oci::check_container_id(request.id);
  const std::string folder = std::string(guestcomm::share_mount_point) + "/" + request.id + "/";
  if (request.spec.root) check_below(folder, request.spec.root->path, "root.path");
  if (!request.notify_socket.empty() && !std::filesystem::path(request.notify_socket).is_absolute())
    throw Error(Errc::invalid_argument, "notify_socket: is not an absolute path");
  if (!request.spec.hooks.start_container.empty() && request.hook_state.empty())
    throw Error(Errc::invalid_argument, "hook_state: is missing for startContainer hooks");
  for (std::size_t n = 0; n < request.spec.mounts.size(); ++n) {
    const oci::Mount& mount = request.spec.mounts[n];
    if (!is_bind(mount)) continue;
    check_below(folder, mount.source.value_or(""), "mounts[" + std::to_string(n) + "].source");
  }
  check_shared_tmpfs(request);
}

void check_create_request(const guestcomm::CreateProcess& request) {
  const std::string& name = request.process.process;
  const bool good =
      !name.empty() && name.size() <= 64 &&
      name.find_first_not_of("0123456789abcdefghijklmnopqrstuvwxyz-") == std::string::npos;
  if (!good) throw Error(Errc::invalid_argument, "process: is not a valid process name");
  if (request.spec.args.empty()) throw Error(Errc::invalid_argument, "process.args is empty");
  for (const std::filesystem::path& part : std::filesystem::path(request.cgroup)) {
    if (part == ".." || part.native().starts_with('/'))
      throw Error(Errc::invalid_argument, "cgroup: is not below the container's cgroup");
  }
}

}  // namespace husk::agent
