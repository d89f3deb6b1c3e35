// SPDX-License-Identifier: Apache-2.0
#include "agent/setup/shared_files.hpp"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "lib/guestcomm/protocol/messages.hpp"

namespace husk::agent {
namespace {

/// A remount drops every name of the file system that is not in use, and no page of any file.
void forget_names() noexcept {
  struct statfs status {};
  if (::statfs(guestcomm::share_mount_point, &status) != 0) return;
  if (status.f_type != FUSE_SUPER_MAGIC) return;
  ::mount(nullptr, guestcomm::share_mount_point, nullptr, MS_REMOUNT, nullptr);
}

}  // namespace

void forget_shared_files(const oci::Spec& container) noexcept {
  forget_names();
  // These are always in use: a file that is mounted, as /etc/hosts.
  for (const oci::Mount& mount : container.mounts) {
    struct statx status {};
    if (oci::is_bind(mount) && mount.source) {
      ::statx(AT_FDCWD, mount.source->c_str(), AT_STATX_FORCE_SYNC, STATX_BASIC_STATS, &status);
    }
  }
}

}  // namespace husk::agent
