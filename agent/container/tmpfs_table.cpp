// SPDX-License-Identifier: Apache-2.0
#include "agent/container/tmpfs_table.hpp"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>

#include "agent/setup/mount_calls.hpp"
#include "lib/base/error.hpp"
#include "lib/base/files.hpp"

namespace husk::agent {
namespace {

constexpr mode_t parent_mode = 0755;  ///< kubelet's, for the directories above a part

UniqueFd open_path(const std::filesystem::path& path, int flags) {
  return UniqueFd{check_sys(::open(path.c_str(), flags | O_PATH | O_NOFOLLOW | O_CLOEXEC),
                            "open " + path.string())};
}

UniqueFd make_tmpfs(const std::vector<std::string>& options) {
  const MountOptions parsed = parse_mount_options(options);
  UniqueFd made = new_filesystem("tmpfs", "shm", parsed);
  set_attributes(made.get(), parsed.attributes, false);
  return made;
}

/// Makes the directory. A link that a container puts there at the same time is not followed.
UniqueFd make_directory(int root, const guestcomm::TmpfsPart& part) {
  const std::filesystem::path path = std::filesystem::path(part.path).lexically_normal();
  const UniqueFd parent = make_directories_in_root(root, path.parent_path(), parent_mode);
  const std::string name = path.filename();
  check_sys(::mkdirat(parent.get(), name.c_str(), 0700), "make directory " + part.path);
  UniqueFd made{check_sys(
      ::openat(parent.get(), name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC),
      "open " + part.path)};
  check_sys(::fchown(made.get(), part.uid, part.gid), "chown " + part.path);
  check_sys(::fchmod(made.get(), part.mode), "chmod " + part.path);
  return made;
}

/// Links are followed inside the tmpfs, as kubelet follows them inside a volume.
UniqueFd find_or_make(int root, const guestcomm::TmpfsPart& part) {
  if (UniqueFd there = find_in_root(root, part.path, O_PATH)) return there;
  return make_directory(root, part);
}

/// Attaches the mount at `place`, which is made: a directory or a file, as the mount's root is one.
void attach_at(const std::filesystem::path& place, int mount) {
  std::filesystem::create_directories(place.parent_path());
  if (is_directory(mount)) {
    std::filesystem::create_directory(place);
  } else {
    write_new_file(AT_FDCWD, place, "", 0600);
  }
  attach_mount(mount, open_path(place, 0).get());
}

}  // namespace

GuestTmpfs::GuestTmpfs(std::filesystem::path place, const std::vector<std::string>& options)
    : place_(std::move(place)) {
  attach_at(place_, make_tmpfs(options).get());
}

GuestTmpfs::GuestTmpfs(std::filesystem::path place, std::shared_ptr<const GuestTmpfs> whole,
                       const guestcomm::TmpfsPart& part)
    : place_(std::move(place)), whole_(std::move(whole)) {
  const UniqueFd root = open_path(whole_->place(), O_DIRECTORY);
  const UniqueFd found = find_or_make(root.get(), part);
  attach_at(place_, clone_mount(found.get(), "", false).get());
}

GuestTmpfs::~GuestTmpfs() {
  ::umount2(place_.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW);
  ::remove(place_.c_str());
}

std::shared_ptr<const GuestTmpfs> TmpfsTable::use(const guestcomm::SharedTmpfs& wanted) {
  return step("shared tmpfs " + wanted.name, [&] {
    std::shared_ptr<const GuestTmpfs> whole = use_whole(wanted);
    if (!wanted.part) return whole;
    const std::string name = wanted.name + "-" + std::to_string(++parts_);
    return std::make_shared<const GuestTmpfs>(directory_ / name, std::move(whole), *wanted.part);
  });
}

std::shared_ptr<const GuestTmpfs> TmpfsTable::use_whole(const guestcomm::SharedTmpfs& wanted) {
  std::erase_if(known_, [](const auto& one) { return one.second.expired(); });
  std::shared_ptr<const GuestTmpfs> used = known_[wanted.name].lock();
  if (!used) used = std::make_shared<const GuestTmpfs>(directory_ / wanted.name, wanted.options);
  known_[wanted.name] = used;
  if (wanted.is_kept) kept_[wanted.name] = used;
  return used;
}

}  // namespace husk::agent
