// SPDX-License-Identifier: Apache-2.0
#include "agent/setup/shared_files.hpp"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <ranges>
#include <string>

#include "lib/base/error.hpp"
#include "lib/base/files.hpp"
#include "lib/base/log.hpp"
#include "lib/base/mountinfo.hpp"
#include "lib/guestcomm/protocol/share.hpp"

namespace husk::agent {
namespace {

struct SharedMount {
  UniqueFd fd;
  bool is_root;
};

std::vector<SharedMount> find_shared_mounts(pid_t pid) {
  const std::string process = "/proc/" + std::to_string(pid);
  const UniqueFd root{
      check_sys(::open((process + "/root").c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC), "open /")};
  std::vector<SharedMount> mounts;
  for (const MountEntry& entry : load_mount_table(process + "/mountinfo")) {
    if (entry.type != "virtiofs") continue;
    try {
      mounts.push_back(
          {open_in_root(root.get(), entry.mount_point, O_PATH), entry.mount_point == "/"});
    } catch (const Error&) {
      continue;  // hidden by another mount
    }
  }
  return mounts;
}

/// A reconfiguration, of nothing, drops every name of the file system that is not in use, and no page of any file.
/// With is_root the files keep their pages from one open(2) to the next while their ctime is the same. husk's own kernel
/// knows the option (rootfs-builder/kernel-patches), other kernels refuse it.
void forget_names(int mount, bool is_root = false) noexcept {
  const UniqueFd file_system{
      static_cast<int>(::syscall(SYS_fspick, mount, "", FSPICK_EMPTY_PATH | FSPICK_CLOEXEC))};
  if (!file_system) return;
  if (is_root)
    ::syscall(SYS_fsconfig, file_system.get(), FSCONFIG_SET_FLAG, "keep_pages", nullptr, 0);
  ::syscall(SYS_fsconfig, file_system.get(), FSCONFIG_CMD_RECONFIGURE, nullptr, nullptr, 0);
}

}  // namespace

void forget_shared_files(pid_t pid) noexcept {
  try {
    for (const auto& [mount, is_root] : find_shared_mounts(pid)) {
      forget_names(mount.get(), is_root);
      // The mounted file or directory itself is always in use: it is asked for.
      struct statx status {};
      ::statx(mount.get(), "", AT_EMPTY_PATH | AT_STATX_FORCE_SYNC, STATX_BASIC_STATS, &status);
    }
  } catch (const std::exception& error) {
    log(LogLevel::warning, std::string("mounts of the host's files: ") + error.what());
  }
}

void forget_share() noexcept {
  const UniqueFd share{::open(guestcomm::share_mount_point, O_PATH | O_DIRECTORY | O_CLOEXEC)};
  if (share) forget_names(share.get());
}

std::vector<std::filesystem::path> mounts_in_share(const std::string& container) {
  const std::string folder = std::string(guestcomm::share_mount_point) + "/" + container + "/";
  std::vector<std::filesystem::path> mounts;
  for (const MountEntry& mount : load_mount_table("/proc/self/mountinfo"))
    if (mount.mount_point.string().starts_with(folder)) mounts.push_back(mount.mount_point);
  return mounts;
}

void let_go_of_files(const std::vector<std::filesystem::path>& mounts) noexcept {
  for (const std::filesystem::path& mount : mounts | std::views::reverse)
    ::umount2(mount.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW);
}

}  // namespace husk::agent
