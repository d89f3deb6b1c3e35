// SPDX-License-Identifier: Apache-2.0
#include "lib/oci/device_node.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "lib/base/error.hpp"
#include "lib/base/files.hpp"
#include "lib/base/log.hpp"

namespace husk::oci {
namespace {

mode_t node_type(const Device& device) {
  if (device.type == "c" || device.type == "u") return S_IFCHR;
  if (device.type == "b") return S_IFBLK;
  if (device.type == "p") return S_IFIFO;
  throw Error(Errc::invalid_argument, "linux.devices: unknown type " + device.type);
}

dev_t node_number(const Device& device) {
  if (device.type == "p") return 0;
  if (!device.major || !device.minor) {
    throw Error(Errc::invalid_argument, "linux.devices: major and minor are required");
  }
  return ::makedev(static_cast<unsigned>(*device.major), static_cast<unsigned>(*device.minor));
}

/// Works by descriptor and follows no link: the name may have become another file's since the node was made.
void set_owner_and_mode(const DevicePlace& place, const Device& device) {
  const UniqueFd node{check_sys(
      ::openat(place.directory.get(), place.name.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC),
      "open")};
  struct stat status {};
  check_sys(::fstat(node.get(), &status), "stat");
  if ((status.st_mode & S_IFMT) != node_type(device) || status.st_rdev != node_number(device))
    throw Error(Errc::internal, "replaced by another file");
  check_sys(
      ::fchownat(node.get(), "", device.uid.value_or(0), device.gid.value_or(0), AT_EMPTY_PATH),
      "chown");
  check_sys(::chmod(fd_path(node.get()).c_str(), device.file_mode.value_or(0666) & 0777u), "chmod");
}

}  // namespace

DevicePlace make_device_place(int root_fd, const std::string& path) {
  const std::size_t slash = path.find_last_of('/');
  if (slash == std::string::npos || slash + 1 == path.size()) {
    throw Error(Errc::invalid_argument, "linux.devices: bad path " + path);
  }
  return {make_directories_in_root(root_fd, path.substr(0, slash + 1), 0755),
          path.substr(slash + 1)};
}

void make_device_node(int root_fd, const Device& device) {
  const DevicePlace place = make_device_place(root_fd, device.path);
  if (::mknodat(place.directory.get(), place.name.c_str(), node_type(device),
                node_number(device)) != 0) {
    if (errno != EEXIST) throw_errno("mknod");
    return log(LogLevel::debug, "device " + device.path + " exists, left as it is");
  }
  set_owner_and_mode(place, device);
}

}  // namespace husk::oci
