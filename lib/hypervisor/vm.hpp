// SPDX-License-Identifier: Apache-2.0
// A virtual machine as husk needs it. Knows nothing of OCI; libvirt is behind it.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "lib/base/process.hpp"
#include "lib/hypervisor/network_card.hpp"

namespace husk::hypervisor {

enum class Accelerator { kvm, tcg };

/// A vsock device: the kernel's (/dev/vhost-vsock; the CID is chosen by libvirt), if neither socket is named.
struct VsockDevice {
  /// The socket of another process, which is the device.
  std::optional<std::filesystem::path> vhost_user_socket = {};
  /// The socket with the hybrid protocol (lib/guestcomm/link/guest_address.hpp). The hypervisor makes the socket where the
  /// hypervisor is the device, as Cloud Hypervisor always is.
  std::optional<std::filesystem::path> hybrid_socket = {};
};

/// The program between libvirt and a hypervisor of which libvirt's driver says too little (ch/). Cloud Hypervisor needs it.
struct GoBetween {
  std::filesystem::path program;     ///< husk-ch
  std::filesystem::path hypervisor;  ///< that husk-ch executes: cloud-hypervisor
};

/// A directory of the host over virtio-fs, which a file server of the caller's serves.
struct SharedDirectory {
  std::filesystem::path socket;  ///< on which the server listens; the hypervisor's user may connect
  std::string tag;
};

/// Memory beyond what a guest boots with, which is given to it and taken back while it runs (virtio-mem), in steps of
/// memory_step_mib.
struct MemoryDevice {
  std::uint64_t size_mib = 0;       ///< the most that the guest can be given
  std::uint64_t requested_mib = 0;  ///< what the guest is asked to use
  bool operator==(const MemoryDevice&) const = default;
};
/// What a guest's kernel plugs at once. Both fields of a MemoryDevice are multiples of it.
inline constexpr std::uint64_t memory_step_mib = 128;

/// The processors and the memory of a VM, and what can be plugged while its guest runs.
struct VmShape {
  unsigned vcpus = 1;  ///< that the guest uses
  unsigned max_vcpus =
      1;  ///< that are there, and rest until the guest uses them; vcpus where that is more
  std::uint64_t memory_mib = 512;                  ///< that the guest boots with
  std::optional<MemoryDevice> memory_device = {};  ///< empty: the guest keeps what it boots with
  bool operator==(const VmShape&) const = default;
};

struct VmConfig {
  std::string name;         ///< libvirt domain name, unique on the host
  std::string title;        ///< for `virsh list --title`: one line
  std::string description;  ///< for `virsh desc`
  Accelerator accelerator = Accelerator::tcg;
  VmShape shape;
  std::filesystem::path kernel, initrd;
  std::string kernel_arguments;
  std::filesystem::path firmware;  ///< empty: the hypervisor's default
  std::filesystem::path
      console_log;  ///< the guest's serial console: a file, or a FIFO that somebody has open
  VsockDevice vsock;
  std::filesystem::path directory;  ///< the VM's, absolute, where the go-between finds what to add
  std::optional<GoBetween> go_between = {};
  std::vector<SharedDirectory> shared_directories;
  std::vector<NetworkCard> network_cards;  ///< there from the start; at most 8
  unsigned network_ports = 0;              ///< for as many cards attached later; at most 8
  /// Called before the start where the daemon that starts the VM has another mount namespace than
  /// this process (the descriptor): makes the files named above visible in it. May be called in a
  /// child process.
  std::function<void(int mount_namespace)> show_files;
};

/// The user as whom libvirt runs the hypervisor.
struct VmUser {
  unsigned uid = 0;
};

/// Finds a started VM again, without libvirt. Kept in vm.json.
struct StartedVm {
  std::string name;
  ProcessIdentity process;           ///< the hypervisor's
  std::optional<std::uint32_t> cid;  ///< AF_VSOCK CID, if the kernel's vsock is used
};

class Hypervisor {
 public:
  virtual ~Hypervisor() = default;
  /// Starts it; returns once QEMU runs the guest (the guest is not up yet). Nothing is left on
  /// failure.
  virtual StartedVm start(const VmConfig& config) = 0;
  /// Ends the VM, and returns when it is gone; fine if there is none of that name.
  virtual void destroy(const std::string& name) = 0;
  /// Gives the running VM one more card, on a free one of its ports (VmConfig::network_ports),
  /// also while it boots; the guest has it at once. `place` is called when the tap is there, to
  /// move it to where it belongs: before that was done nothing gets from the guest into the tap, or
  /// back. It may be called in a child process. When it throws, the card is taken away again.
  /// Throws not_found where there is no such VM, system where it has no port left. After
  /// timed_out or when cancelled the card may be there, not connected, until the VM ends.
  virtual void attach(const std::string& name, const NetworkCard& card,
                      const std::function<void()>& place) = 0;
  /// Changes MemoryDevice::requested_mib of a running VM; the size is what the VM was started with. Returns before the
  /// guest has taken the memory, or given back what can be given back. Throws not_found where there is no such VM,
  /// system.
  virtual void change(const std::string& name, const MemoryDevice& device) = 0;
  /// Changes VmConfig::title and VmConfig::description of a running VM. Throws not_found where there is no such VM, system.
  virtual void rename(const std::string& name, const std::string& title,
                      const std::string& description) = 0;
  /// The version of the daemon that answers: "9.0.0".
  virtual std::string version() = 0;
};

struct HypervisorOptions {
  std::string uri = "qemu:///system";  ///< libvirt's; tells the driver (driver.hpp) as well
  std::chrono::seconds daemon_idle_timeout{
      120};  ///< of a daemon that is started on demand; 0: none is
};

/// How a command comes to its hypervisor, if it needs one.
using ConnectHypervisor = std::function<std::unique_ptr<Hypervisor>(const HypervisorOptions&)>;

/// Loads libvirt (dlopen: 13 ms, so only commands that need it call this), starts a daemon on
/// demand when none listens, connects. Throws unsupported "libvirt is not installed (libvirt.so.0:
/// ...)", system. Starting the daemon forks: call while the process has one thread.
std::unique_ptr<Hypervisor> connect_libvirt(const HypervisorOptions& options);

/// The same, but each question connects and is asked by a child of this process, so that libvirt is
/// not loaded here, and has a limit: 60 s to connect, 300 s to start, 10 s to
/// destroy, 20 s for a network card, 20 s for its memory.
/// Throws timed_out "libvirt did not answer within ...", and when cancelled.
std::unique_ptr<Hypervisor> bounded_libvirt(const HypervisorOptions& options);

/// kvm only when /dev/kvm opens and /proc/cpuinfo shows vmx or svm: some machines have a /dev/kvm
/// on which ordinary kernels hang.
Accelerator detect_accelerator();

}  // namespace husk::hypervisor
