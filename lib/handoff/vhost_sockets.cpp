// SPDX-License-Identifier: Apache-2.0
#include "lib/handoff/vhost_sockets.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/error.hpp"
#include "lib/base/unique_fd.hpp"

namespace husk::handoff {

void give_vhost_socket(const std::string& directory, unsigned uid) {
  const std::string own = std::string(device_folder) + "/" + vhost_socket;
  step("socket " + std::string(vhost_socket) + " in " + directory, [&] {
    const UniqueFd root(check_sys(
        ::open(directory.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC), "open"));
    check_sys(::renameat(root.get(), own.c_str(), root.get(), vhost_socket), "move");
    // Only now: nobody but root can change the name any more. For the group nothing, as it is the
    // one of all QEMUs on the host.
    check_sys(
        ::fchownat(root.get(), vhost_socket, uid, static_cast<gid_t>(-1), AT_SYMLINK_NOFOLLOW),
        "chown");
  });
}

void remove_vhost_sockets(int directory) {
  const std::string folder = std::string(device_folder) + "/";
  ::unlinkat(directory, vhost_socket, 0);
  ::unlinkat(directory, (folder + vhost_socket).c_str(), 0);
  ::unlinkat(directory, (folder + vsock_socket).c_str(), 0);
}

}  // namespace husk::handoff
