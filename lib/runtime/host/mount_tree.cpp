// SPDX-License-Identifier: Apache-2.0
#include "lib/runtime/host/mount_tree.hpp"

#include <fcntl.h>
#include <sys/mount.h>

#include "lib/base/error.hpp"
#include "lib/base/files.hpp"

namespace husk::runtime {
namespace {

void apply(int mount, mount_attr attributes, bool recursive, const char* doing) {
  const unsigned flags = AT_EMPTY_PATH | (recursive ? AT_RECURSIVE : 0U);
  check_sys(::mount_setattr(mount, "", flags, &attributes, sizeof attributes), doing);
}

}  // namespace

UniqueFd copy_mount(const std::filesystem::path& path, bool recursive) {
  const unsigned flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | (recursive ? AT_RECURSIVE : 0U);
  return UniqueFd{check_sys(::open_tree(AT_FDCWD, path.c_str(), flags), "bind " + path.string())};
}

UniqueFd open_mount(const std::filesystem::path& path) {
  return UniqueFd{
      check_sys(::open_tree(AT_FDCWD, path.c_str(), OPEN_TREE_CLOEXEC), "open " + path.string())};
}

void mount_unbindable(const std::filesystem::path& directory) {
  const UniqueFd mount = copy_mount(directory, false);
  attach_mount(mount.get(), directory);
  // Done after attaching: the kernel attaches no unbindable mount to a shared one.
  set_propagation(mount.get(), MS_UNBINDABLE, false);
}

UniqueFd make_filesystem(const std::string& type, const std::string& source,
                         const std::vector<std::pair<std::string, std::string>>& options) {
  const UniqueFd context{check_sys(::fsopen(type.c_str(), FSOPEN_CLOEXEC), type)};
  const auto set = [&](const std::string& key, const std::string& value) {
    check_sys(::fsconfig(context.get(), FSCONFIG_SET_STRING, key.c_str(), value.c_str(), 0),
              type + " option " + key + "=" + value);
  };
  set("source", source);
  for (const auto& [key, value] : options) set(key, value);
  check_sys(::fsconfig(context.get(), FSCONFIG_CMD_CREATE, nullptr, nullptr, 0), "make a " + type);
  return UniqueFd{check_sys(::fsmount(context.get(), FSMOUNT_CLOEXEC, 0), "fsmount " + type)};
}

void change_mount(int mount, const MountAttributes& attributes, bool recursive) {
  if (attributes.set == 0 && attributes.clear == 0) return;
  mount_attr wanted{};
  wanted.attr_set = attributes.set;
  wanted.attr_clr = attributes.clear;
  apply(mount, wanted, recursive, "set mount attributes");
}

void set_propagation(int mount, std::uint64_t propagation, bool recursive) {
  mount_attr wanted{};
  wanted.propagation = propagation;
  apply(mount, wanted, recursive, "set mount propagation");
}

void attach_mount(int mount, const std::filesystem::path& target) {
  check_sys(::move_mount(mount, "", AT_FDCWD, target.c_str(), MOVE_MOUNT_F_EMPTY_PATH),
            "mount on " + target.string());
}

void attach_mount(int mount, int target) {
  check_sys(::move_mount(mount, "", target, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH),
            "attach a mount");
}

void detach_mounts_on(int parent, const std::string& name) {
  const std::string target = fd_path(parent) + "/" + name;
  while (::umount2(target.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW) == 0) continue;
  // EINVAL: nothing, or nothing more, is mounted there.
  if (errno != EINVAL && errno != ENOENT) throw_errno("unmount " + name);
}

}  // namespace husk::runtime
