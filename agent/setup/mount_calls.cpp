// SPDX-License-Identifier: Apache-2.0
#include "agent/setup/mount_calls.hpp"

#include <fcntl.h>
#include <sys/mount.h>
#include <unistd.h>

#include <array>
#include <cctype>

#include "lib/base/error.hpp"

namespace husk::agent {
namespace {

/// The kernel leaves its reasons in the context: "e tmpfs: Bad value for 'size'".
std::string last_message(int context) {
  std::array<char, 512> text{};
  const ssize_t count = ::read(context, text.data(), text.size() - 1);
  if (count <= 2) return {};
  std::string message(text.data() + 2, static_cast<std::size_t>(count) - 2);
  while (!message.empty() && std::isspace(static_cast<unsigned char>(message.back())) != 0) {
    message.pop_back();
  }
  return " (" + message + ")";
}

void configure(int context, unsigned command, const char* key, const char* value,
               const std::string& doing) {
  if (::fsconfig(context, command, key, value, 0) == 0) return;
  const int error = errno;
  throw_errno(doing + last_message(context), error);
}

}  // namespace

UniqueFd new_filesystem(const std::string& type, const std::string& name,
                        const MountOptions& options) {
  const UniqueFd context{check_sys(::fsopen(type.c_str(), FSOPEN_CLOEXEC), "file system " + type)};
  configure(context.get(), FSCONFIG_SET_STRING, "source", name.c_str(), "set source");
  for (const auto& [key, value] : options.filesystem) {
    if (value) {
      configure(context.get(), FSCONFIG_SET_STRING, key.c_str(), value->c_str(),
                "mount option " + key + "=" + *value);
    } else {
      configure(context.get(), FSCONFIG_SET_FLAG, key.c_str(), nullptr, "mount option " + key);
    }
  }
  configure(context.get(), FSCONFIG_CMD_CREATE, nullptr, nullptr, "make file system " + type);
  return UniqueFd{check_sys(::fsmount(context.get(), FSMOUNT_CLOEXEC, 0), "fsmount " + type)};
}

UniqueFd clone_mount(int directory_fd, const std::string& path, bool recursive) {
  unsigned flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC;
  if (recursive) flags |= AT_RECURSIVE;
  if (path.empty()) flags |= AT_EMPTY_PATH;
  return UniqueFd{check_sys(::open_tree(directory_fd, path.c_str(), flags), "open tree " + path)};
}

void set_attributes(int mount_fd, const AttributeChange& change, bool recursive) {
  if (change.empty()) return;
  struct mount_attr attributes {};
  attributes.attr_set = change.set;
  attributes.attr_clr = change.clear;
  const unsigned flags = AT_EMPTY_PATH | (recursive ? AT_RECURSIVE : 0u);
  check_sys(::mount_setattr(mount_fd, "", flags, &attributes, sizeof attributes),
            "set mount attributes");
}

void set_propagation(int mount_fd, const PropagationChange& change) {
  struct mount_attr attributes {};
  attributes.propagation = change.type;
  const unsigned flags = AT_EMPTY_PATH | (change.recursive ? AT_RECURSIVE : 0u);
  check_sys(::mount_setattr(mount_fd, "", flags, &attributes, sizeof attributes),
            "set mount propagation");
}

void attach_mount(int mount_fd, int target_fd) {
  check_sys(
      ::move_mount(mount_fd, "", target_fd, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH),
      "attach mount");
}

}  // namespace husk::agent
