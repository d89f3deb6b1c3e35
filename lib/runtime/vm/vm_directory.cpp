// SPDX-License-Identifier: Apache-2.0
#include "lib/runtime/vm/vm_directory.hpp"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string_view>

#include "lib/base/error.hpp"
#include "lib/base/files.hpp"
#include "lib/base/log.hpp"
#include "lib/base/ownership.hpp"
#include "lib/guestcomm/protocol/share.hpp"
#include "lib/hypervisor/vm_id.hpp"
#include "lib/runtime/host/mount_tree.hpp"
#include "lib/runtime/vm/pinned_files.hpp"

namespace husk::runtime {
namespace {

namespace fs = std::filesystem;

void make_directory(const fs::path& path, mode_t mode) {
  if (::mkdir(path.c_str(), mode) != 0 && errno != EEXIST) {
    throw_errno("make directory " + path.string());
  }
}

/// Bounds of the VM's own tmpfs: a network has one frame's size, a record less; a file
/// for each socket.
constexpr const char* vm_bytes = "4m";
constexpr const char* vm_inodes = "256";

/// Bounds of the share's own tmpfs: a mount point and a link per bind, the secret's page and those of the kernel
/// settings (max_kernel_settings_bytes).
constexpr const char* share_bytes = "96k";
constexpr const char* share_inodes = "16384";

constexpr std::uint64_t share_attributes =
    MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;

/// The parent of all VMs' directories; empty: there is none. May be a symbolic link of root's.
UniqueFd open_parent() {
  UniqueFd parent{::open(vm_directories, O_PATH | O_DIRECTORY | O_CLOEXEC)};
  if (!parent && errno != ENOENT) throw_errno(std::string("open ") + vm_directories);
  return parent;
}

/// The hypervisor's user must get through both, not look around. The common parent goes with the
/// last VM, so another husk may take it away between the two steps.
void make_vm_directory(const fs::path& directory) {
  do {
    make_directory(vm_directories, 0711);
    if (const UniqueFd parent = open_parent()) check_own_file(parent.get(), vm_directories);
    if (::mkdir(directory.c_str(), 0711) == 0) return;
  } while (errno == ENOENT);
  throw_errno("make directory " + directory.string());
}

/// The directory on itself comes first. Where /run is shared, as with systemd, this one alone
/// propagates to other mount namespaces and to binds of /run, and shows an empty directory there.
void mount_vm_tmpfs(const fs::path& directory) {
  mount_unbindable(directory);
  const UniqueFd made = make_filesystem(
      "tmpfs", "husk-vm", {{"mode", "0711"}, {"size", vm_bytes}, {"nr_inodes", vm_inodes}});
  change_mount(made.get(), {.set = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC},
               false);
  attach_mount(made.get(), directory);
  set_propagation(made.get(), MS_UNBINDABLE, false);
}

/// The console logs of that VM: "<id>.console.log", and what virtlogd renamed, "<id>.console.log.0" and so on.
bool is_console_log(std::string_view name, const std::string& first) {
  if (!name.starts_with(first)) return false;
  name.remove_prefix(first.size());
  return name.empty() || (name.size() > 1 && name.front() == '.' &&
                          name.find_first_not_of("0123456789", 1) == std::string_view::npos);
}

void remove_console_logs(int parent, const std::string& vm_id) {
  const std::string first = VmPaths(vm_id).console_log().filename();
  const fs::path listed = "/proc/self/fd/" + std::to_string(parent);
  for (const auto& entry : fs::directory_iterator(listed)) {
    const std::string name = entry.path().filename();
    if (is_console_log(name, first) && ::unlinkat(parent, name.c_str(), 0) != 0 && errno != ENOENT)
      throw_errno("remove " + (fs::path(vm_directories) / name).string());
  }
}

/// The vsock device has a folder that nobody else enters. The hypervisor is let through to a socket
/// beside it, and can make no file there.
void make_vsock_directories(const VmPaths& paths) {
  const fs::path own = paths.vsock_device();
  const unsigned user = hypervisor::device_uid(paths.directory.filename().string());
  make_directory(paths.vsock(), 0711);
  check_sys(::chmod(paths.vsock().c_str(), 0711), "chmod " + paths.vsock().string());
  make_directory(own, 0700);
  check_sys(::chown(own.c_str(), user, user), "chown " + own.string());
}

}  // namespace

VmDirectory::VmDirectory(const std::string& vm_id, const BootAssets& assets,
                         const std::string& secret, const std::string& kernel_settings)
    : paths_(vm_id) {
  make_vm_directory(paths_.directory);
  try {
    mount_vm_tmpfs(paths_.directory);
    bind_asset(assets.kernel, paths_.kernel(), "guest kernel");
    bind_asset(assets.initrd, paths_.initrd(), "guest initrd");
    if (!assets.firmware.empty()) bind_asset(assets.firmware, paths_.firmware(), "firmware");
    make_vsock_directories(paths_);
    make_directory(paths_.network(), 0700);
    make_share(secret, kernel_settings);
    if (!assets.modules.empty()) bind_modules(assets.modules);
  } catch (...) {
    remove_vm_directory(vm_id);
    throw;
  }
}

VmDirectory::~VmDirectory() {
  if (!keep_) warn_on_failure([&] { remove_vm_directory(paths_.directory.filename()); });
}

void VmDirectory::bind_asset(const fs::path& source, const fs::path& target, const char* what) {
  struct stat status {};
  if (::stat(source.c_str(), &status) != 0 || !S_ISREG(status.st_mode) || status.st_size == 0) {
    // Says it in husk's words: Docker would read "no such file" as the container's command missing.
    throw Error(Errc::invalid_argument, std::string(what) + " " + source.string() +
                                            " is missing, empty, or not a regular file");
  }
  write_new_file(AT_FDCWD, target, "", 0444);
  step(std::string("bind ") + what, [&] {
    const UniqueFd bound = copy_mount(source, false);
    set_propagation(bound.get(), MS_PRIVATE, false);
    change_mount(bound.get(), {.set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV},
                 false);
    attach_mount(bound.get(), target);
  });
}

void VmDirectory::make_share(const std::string& secret, const std::string& kernel_settings) {
  make_directory(paths_.shared(), 0700);
  const fs::path shared = paths_.shared();
  const UniqueFd made = make_filesystem(
      "tmpfs", "husk", {{"mode", "0700"}, {"size", share_bytes}, {"nr_inodes", share_inodes}});
  write_new_file(made.get(), guestcomm::share_secret_file, secret, 0400);
  for (const char* directory : {guestcomm::share_kernel, guestcomm::share_modules})
    check_sys(::mkdirat(made.get(), directory, 0500), std::string("make directory ") + directory);
  write_new_file(made.get(), guestcomm::share_kernel_settings, kernel_settings, 0400);
  change_mount(made.get(), {.set = share_attributes, .clear = 0}, false);
  attach_mount(made.get(), shared);
  set_propagation(made.get(), MS_SHARED, false);
}

void VmDirectory::bind_modules(const fs::path& source) {
  if (!fs::is_directory(source))
    throw Error(Errc::invalid_argument,
                "guest modules " + source.string() + " are missing, or not a directory");
  step("bind guest modules", [&] {
    const UniqueFd bound = copy_mount(source, false);
    set_propagation(bound.get(), MS_PRIVATE, false);
    change_mount(bound.get(), {.set = share_attributes}, false);
    attach_mount(bound.get(), paths_.shared() / guestcomm::share_modules);
  });
}

PinnedBinds VmDirectory::add_container(const std::string& id, const OpenFiles& files) const {
  return pin_files(paths_, id, files);
}

PinnedBinds VmDirectory::add_container(const std::string& id, const fs::path& rootfs,
                                       const GuestPlan& plan) const {
  return add_container(id, open_files(rootfs, plan));
}

void VmDirectory::remove_container(const std::string& id) const { unpin_files(paths_, id); }

void VmDirectory::pin_network(const fs::path& path, const NamespaceId& id) {
  step("keep the pod's network namespace", [&] {
    write_new_file(AT_FDCWD, paths_.pod_network(), "", 0400);
    const UniqueFd bound = copy_mount(path, false);
    set_propagation(bound.get(), MS_PRIVATE, false);
    attach_mount(bound.get(), paths_.pod_network());
    if (namespace_at(paths_.pod_network(), "net") != id)
      throw Error(Errc::invalid_argument, path.string() + ": leads to another namespace now");
  });
}

void remove_vm_directory(const std::string& vm_id) {
  const fs::path directory = VmPaths(vm_id).directory;
  const UniqueFd parent = open_parent();
  if (!parent) return;
  detach_mounts_on(parent.get(), vm_id);
  if (::unlinkat(parent.get(), vm_id.c_str(), AT_REMOVEDIR) != 0 && errno != ENOENT)
    throw_errno("remove " + directory.string());
  remove_console_logs(parent.get(), vm_id);
  ::rmdir(vm_directories);  // the last one; fails while others are there
}

}  // namespace husk::runtime
