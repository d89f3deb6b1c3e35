// SPDX-License-Identifier: Apache-2.0
#include "agent/setup/devices.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "agent/setup/mount_calls.hpp"
#include "lib/base/error.hpp"
#include "lib/base/files.hpp"
#include "lib/oci/device_node.hpp"

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

/// The devices of linux.devices, and the default ones whose paths are not among them.
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

void bind_node(int root_fd, const oci::Device& device) {
  const UniqueFd source = clone_mount(AT_FDCWD, device.path, false);
  const oci::DevicePlace place = oci::make_device_place(root_fd, device.path);
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
    step("make device " + device.path, [&] {
      in_user_namespace ? bind_node(root_fd, device) : oci::make_device_node(root_fd, device);
    });
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
