// SPDX-License-Identifier: Apache-2.0
#include "lib/guestcomm/vsock_keeper.hpp"

#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <exception>

#include "lib/base/detach.hpp"
#include "lib/base/error.hpp"
#include "lib/base/unique_fd.hpp"

namespace husk::guestcomm {
namespace {

constexpr rlim_t max_device_files = 4096;  ///< one per connection the guest or the host opens

void drop_bounding_set() {
  for (int capability = 0; ::prctl(PR_CAPBSET_READ, capability, 0, 0, 0) >= 0; ++capability)
    check_sys(::prctl(PR_CAPBSET_DROP, capability, 0, 0, 0), "drop a bounding capability");
}

void drop_capabilities() {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  std::array<__user_cap_data_struct, _LINUX_CAPABILITY_U32S_3> none{};
  check_sys(::syscall(SYS_capset, &header, none.data()), "drop capabilities");
}

void limit(__rlimit_resource resource, rlim_t most) {
  rlimit limits{};
  check_sys(::getrlimit(resource, &limits), "read a limit");
  limits.rlim_max = std::min(limits.rlim_max, most);
  limits.rlim_cur = limits.rlim_max;
  check_sys(::setrlimit(resource, &limits), "set a limit");
}

/// The device reads what a hostile guest wrote into its queues: it gets nothing it does not need.
void become_unprivileged(const VsockKeeper& keeper) {
  check_sys(::setgroups(0, nullptr), "drop groups");
  limit(RLIMIT_CORE, 0);
  limit(RLIMIT_NOFILE, max_device_files);
  check_sys(::prctl(PR_SET_KEEPCAPS, 0, 0, 0, 0), "clear keep-capabilities");
  check_sys(::setresgid(keeper.gid, keeper.gid, keeper.gid), "change group");
  drop_bounding_set();  // needs CAP_SETPCAP, so before the change of user
  check_sys(::setresuid(keeper.uid, keeper.uid, keeper.uid), "change user");
  drop_capabilities();
  check_sys(::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "set no-new-privileges");
}

[[noreturn]] void run_device(const VsockKeeper& keeper, pid_t parent) {
  close_other_descriptors({});
  become_unprivileged(keeper);
  check_sys(::chdir(keeper.directory.c_str()), "enter the VM's directory");
  ::umask(077);
  // A change of user clears it, so last.
  check_sys(::prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0), "bind the device to its keeper");
  if (::getppid() != parent) ::_exit(1);
  // Relative names: sun_path ends at 107 bytes.
  const std::array<const char*, 8> argv{"vhost-device-vsock", "--guest-cid", "3",
                                        "--socket",           "vhost.sock",  "--uds-path",
                                        "vsock.sock",         nullptr};
  const std::array<const char*, 1> environment{nullptr};
  ::execve(vhost_device_program, const_cast<char* const*>(argv.data()),
           const_cast<char* const*>(environment.data()));
  ::_exit(127);
}

/// The device; killed and reaped when it goes.
class Device {
 public:
  explicit Device(const VsockKeeper& keeper) {
    const pid_t self = ::getpid();
    pid_ = check_sys(::fork(), "fork the vsock device");
    if (pid_ == 0) {
      try {
        run_device(keeper, self);
      } catch (const std::exception&) {
        ::_exit(126);
      }
    }
    pidfd_.reset(static_cast<int>(::syscall(SYS_pidfd_open, pid_, 0u)));
  }
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;
  ~Device() {
    ::kill(pid_, SIGKILL);
    while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
    }
  }
  int pidfd() const { return pidfd_.get(); }

 private:
  pid_t pid_ = -1;
  UniqueFd pidfd_;
};

/// The VM's pidfd; empty when husk went without sending one.
UniqueFd receive_vm(int socket) {
  char byte = 0;
  iovec part{&byte, 1};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  if (::recvmsg(socket, &message, MSG_CMSG_CLOEXEC) <= 0) return {};
  const cmsghdr* const header = CMSG_FIRSTHDR(&message);
  if (header == nullptr || header->cmsg_type != SCM_RIGHTS) return {};
  int descriptor = -1;
  std::copy_n(CMSG_DATA(header), sizeof descriptor, reinterpret_cast<unsigned char*>(&descriptor));
  return UniqueFd(descriptor);
}

/// True when `fd` became readable, false when the device ended first.
bool await_before_end(int fd, const Device& device) {
  for (;;) {
    std::array<pollfd, 2> polled{{{fd, POLLIN, 0}, {device.pidfd(), POLLIN, 0}}};
    const int count = ::poll(polled.data(), polled.size(), -1);
    if (count < 0 && errno != EINTR) return false;
    if (count > 0) return polled[0].revents != 0;
  }
}

void keep(const VsockKeeper& keeper) {
  UniqueFd socket(keeper.socket);
  const Device device(keeper);
  if (!await_before_end(socket.get(), device)) return;
  const UniqueFd vm = receive_vm(socket.get());
  if (!vm) return;
  socket.reset();
  await_before_end(vm.get(), device);
}

}  // namespace

void run_vsock_keeper(const VsockKeeper& keeper) noexcept {
  try {
    const UniqueFd directory(::open(keeper.directory.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    detach_process({keeper.socket, directory.get()});
    ::prctl(PR_SET_NAME, "husk-keeper", 0, 0, 0);
    const UniqueFd hold(::dup(keeper.socket));  // husk sees us end only after the sockets are gone
    keep(keeper);
    // By descriptor: the directory's owner cannot point these names at another one's files.
    ::unlinkat(directory.get(), "vhost.sock", 0);
    ::unlinkat(directory.get(), "vsock.sock", 0);
  } catch (const std::exception&) {
    ::_exit(1);
  }
  ::_exit(0);
}

}  // namespace husk::guestcomm
