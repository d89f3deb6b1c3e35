// SPDX-License-Identifier: Apache-2.0
#include "lib/runtime/host/mount_tree.hpp"

#include <fcntl.h>
#include <sys/mount.h>
#include <unistd.h>

#include <array>

#include "lib/base/error.hpp"
#include "lib/base/files.hpp"

namespace husk::runtime {
namespace {

void apply(int mount, mount_attr attributes, bool recursive, const char* doing) {
  const unsigned flags = AT_EMPTY_PATH | (recursive ? AT_RECURSIVE : 0U);
  check_sys(::mount_setattr(mount, "", flags, &attributes, sizeof attributes), doing);
}

/// What the kernel says of the last error with a new file system (fsopen(2)); empty if nothing.
std::string read_reason(int context) {
  std::array<char, 512> line{};
  std::string reason;
  for (ssize_t size = 0; (size = ::read(context, line.data(), line.size())) > 0;)
    reason.assign(line.data(), static_cast<std::size_t>(size));
  if (reason.starts_with("e ")) reason.erase(0, 2);
  while (reason.ends_with('\n')) reason.pop_back();
  return reason;
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
  const auto configure = [&](unsigned command, const char* key, const char* value,
                             const std::string& doing) {
    if (::fsconfig(context.get(), command, key, value, 0) == 0) return;
    const int error = errno;
    const std::string reason = read_reason(context.get());
    throw_errno(doing + (reason.empty() ? "" : ": " + reason), error);
  };
  const auto set = [&](const std::string& key, const std::string& value) {
    if (value.empty())
      configure(FSCONFIG_SET_FLAG, key.c_str(), nullptr, type + " option " + key);
    else
      configure(FSCONFIG_SET_STRING, key.c_str(), value.c_str(),
                type + " option " + key + "=" + value);
  };
  set("source", source);
  for (const auto& [key, value] : options) set(key, value);
  configure(FSCONFIG_CMD_CREATE, nullptr, nullptr, "make a " + type);
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
