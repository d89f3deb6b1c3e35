// SPDX-License-Identifier: Apache-2.0
#include "lib/runtime/vm/share_folders.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "lib/base/error.hpp"

namespace husk::runtime {

void make_folder(int parent, const std::string& name, mode_t mode) {
  check_sys(::mkdirat(parent, name.c_str(), mode), "make directory " + name + " in the share");
}

UniqueFd find_folder(int parent, const std::string& name) {
  UniqueFd opened{::openat(parent, name.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW)};
  if (!opened && errno != ENOENT) throw_errno("open " + name + " in the share");
  return opened;
}

void remove_from_share(int parent, const std::string& name) {
  if (::unlinkat(parent, name.c_str(), AT_REMOVEDIR) == 0 || errno == ENOENT) return;
  if (errno == ENOTDIR && ::unlinkat(parent, name.c_str(), 0) == 0) return;
  throw_errno("remove " + name + " from the share");
}

}  // namespace husk::runtime
