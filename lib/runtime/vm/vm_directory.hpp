// SPDX-License-Identifier: Apache-2.0
// A VM's run-time files, /run/husk-vm/<vm id>/:
// a tmpfs of its own, so that its end is one unmount and one rmdir, and nothing of it lies in /run's
// file system. The mount is unbindable:
// a recursive bind of "/" or "/run" into a container leaves it out, with all that is mounted below.
//   vmlinuz, initrd, firmware
//                     read-only binds of what the VM boots from: the hypervisor reaches them
//                     wherever they are installed, libvirt cannot hand their ownership to its user,
//                     and virt-aa-helper, which refuses a loader in /usr/share, allows them
//   shared/           the virtio-fs share: a small tmpfs, read-only for the guest and for everybody
//                     but add_container; a shared mount, so that what is added later reaches
//                     virtiofsd
//     secret          what the guest knows husk by (guestcomm::share_secret_file)
//     @kernel/settings   what the host asks of the guest's kernel (guestcomm::KernelSettings)
//     @modules        a read-only bind of the kernel's modules (BootAssets::modules)
//     <container id>/rootfs   a bind
//     <container id>/mounts/<n>   a link to one of the volumes; these links count a volume's users
//     @kept/mounts/<volume>   the same, until the VM ends
//     @volumes/<device>-<inode>-<random>   a bind of a source, one for all who use the same (volumes.hpp)
//   share.sock        virtiofsd's, for the hypervisor
//   vsock/            of the user-space vsock device: vhost.sock, the hypervisor's user's
//     device/         the device's other sockets; its user's alone, which no other VM's process has
//   network/          the lock of who tells the guest its network
//     told.json    the network that the guest was told last
//     ports           the range of ports that the namespace on the host had before
//   netns             the network namespace of a pod without a sandbox container (VmPod::network)
//   vm.json           what husk knows of the VM (vm_record.hpp)
// And beside it /run/husk-vm/<vm id>.console.log, the guest's serial console: VmPaths::console_log().
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "lib/base/namespace_id.hpp"
#include "lib/runtime/plan/guest_plan.hpp"
#include "lib/runtime/plan/vm_paths.hpp"
#include "lib/runtime/plan/vm_plan.hpp"
#include "lib/runtime/vm/pinned_files.hpp"

namespace husk::runtime {

class VmDirectory {
 public:
  /// Makes it; removed on destruction unless kept. Throws invalid_argument when others than root may
  /// write to its parent.
  /// kernel_settings: guestcomm::to_text(KernelSettings).
  VmDirectory(const std::string& vm_id, const BootAssets& assets, const std::string& secret,
              const std::string& kernel_settings);
  /// A directory that exists, and stays.
  explicit VmDirectory(const std::string& vm_id) : paths_(vm_id), keep_(true) {}
  VmDirectory(const VmDirectory&) = delete;
  VmDirectory& operator=(const VmDirectory&) = delete;
  ~VmDirectory();

  const VmPaths& paths() const noexcept { return paths_; }
  /// pinned_files.hpp: pin_files. For who has the VM's lock.
  PinnedBinds add_container(const std::string& id, const OpenFiles& files) const;
  /// The same with files that are still to be opened, for which the lock is held as well.
  PinnedBinds add_container(const std::string& id, const std::filesystem::path& rootfs,
                            const GuestPlan& plan) const;
  /// Takes that back, of a container that has ended (unpin_files). For who has the VM's lock.
  void remove_container(const std::string& id) const;
  /// Keeps the network namespace of a pod, which `path` leads to, until the directory's end. Throws
  /// invalid_argument where `path` does not lead to `id` any more.
  void pin_network(const std::filesystem::path& path, const NamespaceId& id);
  void keep() noexcept { keep_ = true; }
  void own() noexcept { keep_ = false; }  ///< takes keep() back

 private:
  void bind_asset(const std::filesystem::path& source, const std::filesystem::path& target,
                  const char* what);
  void make_share(const std::string& secret, const std::string& kernel_settings);
  void bind_modules(const std::filesystem::path& source);
  VmPaths paths_;
  bool keep_ = false;
};

/// Detaches the VM's tmpfs, with what is mounted below it, and removes the mount point; fine if there
/// is nothing. Deletes no file but the console's logs: what lies under the tmpfs is not husk's, stays,
/// and is an error.
/// Throws system; invalid_argument for what is no VM's id.
void remove_vm_directory(const std::string& vm_id);

}  // namespace husk::runtime
