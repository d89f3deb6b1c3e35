// SPDX-License-Identifier: Apache-2.0
#include "agent/setup/devices.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "agent/setup/mount_calls.hpp"
#include "lib/base/error.hpp"
#include "lib/base/files.hpp"
#include "lib/base/log.hpp"

namespace husk::agent {
namespace {

struct Link {
  const char *name, *target;
};

constexpr std::array dev_links{Link{"fd", "/proc/self/fd"}, Link{"stdin", "/proc/self/fd/0"},
                               Link{"stdout", "/proc/self/fd/1"},
                               Link{"stderr", "/proc/self/fd/2"}};

/// config-linux.md "Default Devices", but for /dev/console and /dev/ptmx.
std::vector<oci::Device> default_devices() {
  const auto device = [](const char* path, std::int64_t major, std::int64_t minor) {
    oci::Device made;
    made.type = "c";
    made.path = path;
    made.major = major;
    made.minor = minor;
    made.file_mode = 0666;
    return made;
  };
  return {device("/dev/null", 1, 3),   device("/dev/zero", 1, 5),    device("/dev/full", 1, 7),
          device("/dev/random", 1, 8), device("/dev/urandom", 1, 9), device("/dev/tty", 5, 0)};
}

/// Those of linux.devices, and the default devices whose paths are not among them.
std::vector<oci::Device> devices_of(const oci::Spec& spec) {
  std::vector<oci::Device> devices = default_devices();
  const auto& given = spec.linux_.devices;
  std::erase_if(devices, [&](const oci::Device& one) {
    return std::any_of(given.begin(), given.end(),
                       [&](const oci::Device& other) { return other.path == one.path; });
  });
  devices.insert(devices.end(), given.begin(), given.end());
  return devices;
}

bool is_dev_bound(const oci::Spec& spec) {
  for (const oci::Mount& mount : spec.mounts) {
    if (mount.destination != "/dev") continue;
    if (mount.type == "bind" || parse_mount_options(mount.options).bind) return true;
  }
  return false;
}

mode_t node_type(const oci::Device& device) {
  if (device.type == "c" || device.type == "u") return S_IFCHR;
  if (device.type == "b") return S_IFBLK;
  if (device.type == "p") return S_IFIFO;
  throw Error(Errc::invalid_argument, "linux.devices: unknown type " + device.type);
}

dev_t node_number(const oci::Device& device) {
  if (device.type == "p") return 0;
  if (!device.major || !device.minor) {
    throw Error(Errc::invalid_argument, "linux.devices: major and minor are needed");
  }
  return ::makedev(static_cast<unsigned>(*device.major), static_cast<unsigned>(*device.minor));
}

struct Place {
  UniqueFd directory;
  std::string name;
};

Place place_of(int root_fd, const std::string& path) {
  const std::size_t slash = path.find_last_of('/');
  if (slash == std::string::npos || slash + 1 == path.size()) {
    throw Error(Errc::invalid_argument, "linux.devices: bad path " + path);
  }
  return {make_directories_in_root(root_fd, path.substr(0, slash + 1), 0755),
          path.substr(slash + 1)};
}

void set_owner_and_mode(int directory, const std::string& name, const oci::Device& device) {
  // By descriptor and without following: the name may have become a link since it was made.
  const UniqueFd node{
      check_sys(::openat(directory, name.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC), "open")};
  check_sys(
      ::fchownat(node.get(), "", device.uid.value_or(0), device.gid.value_or(0), AT_EMPTY_PATH),
      "chown");
  check_sys(::chmod(fd_path(node.get()).c_str(), device.file_mode.value_or(0666) & 0777u), "chmod");
}

void make_node(int root_fd, const oci::Device& device) {
  const Place place = place_of(root_fd, device.path);
  if (::mknodat(place.directory.get(), place.name.c_str(), node_type(device),
                node_number(device)) != 0) {
    if (errno != EEXIST) throw_errno("mknod");
    log(LogLevel::debug, "device " + device.path + " exists, left as it is");
    return;
  }
  set_owner_and_mode(place.directory.get(), place.name, device);
}

void bind_node(int root_fd, const oci::Device& device) {
  const UniqueFd source = clone_mount(AT_FDCWD, device.path, false);
  const Place place = place_of(root_fd, device.path);
  const UniqueFd file{::openat(place.directory.get(), place.name.c_str(),
                               O_CREAT | O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0666)};
  const UniqueFd target{check_sys(
      ::openat(place.directory.get(), place.name.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC),
      "open")};
  attach_mount(source.get(), target.get());
}

void make_link(int directory, const char* target, const char* name) {
  if (::symlinkat(target, directory, name) != 0 && errno != EEXIST) {
    throw_errno(std::string("link /dev/") + name);
  }
}

}  // namespace

void apply_devices(int root_fd, const oci::Spec& spec, bool in_user_namespace) {
  if (is_dev_bound(spec)) return;
  for (const oci::Device& device : devices_of(spec)) {
    step("make device " + device.path,
         [&] { in_user_namespace ? bind_node(root_fd, device) : make_node(root_fd, device); });
  }
  const UniqueFd dev = make_directories_in_root(root_fd, "/dev", 0755);
  for (const Link& link : dev_links) make_link(dev.get(), link.target, link.name);
  // The kernel may be built without PROC_KCORE.
  if (::access("/proc/kcore", F_OK) == 0) make_link(dev.get(), "/proc/kcore", "core");
  ::unlinkat(dev.get(), "ptmx",
             0);  // an image's own ptmx would be the guest's, not the container's
  make_link(dev.get(), "pts/ptmx", "ptmx");
}

}  // namespace husk::agent
