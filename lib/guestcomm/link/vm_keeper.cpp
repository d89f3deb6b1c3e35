// SPDX-License-Identifier: Apache-2.0
#include "lib/guestcomm/link/vm_keeper.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <string>

#include "lib/base/cancellation.hpp"
#include "lib/base/deadline.hpp"
#include "lib/base/descriptors.hpp"
#include "lib/base/detach.hpp"
#include "lib/base/error.hpp"
#include "lib/guestcomm/link/vm_keeper_process.hpp"

namespace husk::guestcomm {
namespace {

constexpr std::chrono::seconds start_patience{10};
constexpr std::chrono::seconds end_patience{2};
constexpr int look_again_ms = 2;

bool is_own_socket(const std::filesystem::path& path) {
  struct stat info {};
  return ::lstat(path.c_str(), &info) == 0 && S_ISSOCK(info.st_mode);
}

/// The keeper's end of the socket closes when it exits, and it exits only with the device gone.
bool keeper_ended(int keeper, int timeout_ms) {
  pollfd polled{keeper, POLLIN, 0};
  return ::poll(&polled, 1, timeout_ms) > 0;
}

UniqueFd open_kept(const ProcessIdentity& process, const std::string& what) {
  UniqueFd pidfd = open_process(process);
  if (!pidfd) throw Error(Errc::peer_lost, what + " ended");
  return pidfd;
}

/// Of none (-1): none.
UniqueFd duplicate(int fd) {
  if (fd < 0) return {};
  return UniqueFd{check_sys(::fcntl(fd, F_DUPFD_CLOEXEC, 3), "duplicate a descriptor")};
}

}  // namespace

VmKeeper::VmKeeper(const AbandonedVm& abandoned, const KeeperCallbacks& callbacks) {
  start(std::nullopt, {abandoned, callbacks});
}

VmKeeper::VmKeeper(const std::filesystem::path& directory, unsigned uid, unsigned gid,
                   const AbandonedVm& abandoned, const KeeperCallbacks& callbacks)
    : directory_(directory) {
  if (::access(vhost_device_program, X_OK) != 0)
    throw Error(Errc::unsupported,
                "vhost-device-vsock is not installed and this host has no /dev/vhost-vsock");
  if (is_own_socket(device_socket()) || is_own_socket(host_socket()))
    throw Error(Errc::already_exists, directory.string() + ": has a vsock device already");
  start(VhostDeviceSetup{.directory = directory.string(), .uid = uid, .gid = gid},
        {abandoned, callbacks});
  await_sockets();
}

void VmKeeper::start(const std::optional<VhostDeviceSetup>& device, const KeeperDuties& duties) {
  SocketPair ends = make_socket_pair();
  keeper_ = std::move(ends.own);
  step("the VM's keeper",
       [&] { fork_orphan([&] { run_vm_keeper(ends.other.get(), device, duties); }); });
}

void VmKeeper::await_sockets() {
  const Deadline deadline(start_patience);
  while (!is_own_socket(device_socket()) || !is_own_socket(host_socket())) {
    throw_if_cancelled();
    if (keeper_ended(keeper_.get(), look_again_ms))
      throw Error(Errc::system, "vhost-device-vsock ended before its sockets were there in " +
                                    directory_->string());
    if (deadline.passed())
      throw Error(Errc::timed_out, "vhost-device-vsock made no sockets in " + directory_->string());
  }
}

VmKeeper::~VmKeeper() {
  if (!keeper_) return;
  send_no_vm(keeper_.get());
  ::shutdown(keeper_.get(), SHUT_WR);
  keeper_ended(keeper_.get(), static_cast<int>(std::chrono::milliseconds(end_patience).count()));
}

std::filesystem::path VmKeeper::device_socket() const { return directory_.value() / "vhost.sock"; }
std::filesystem::path VmKeeper::host_socket() const { return directory_.value() / "vsock.sock"; }

void VmKeeper::hand_over(const KeptVm& kept) {
  KeptProcesses processes;
  processes.vm = open_kept(kept.vm, "the virtual machine");
  for (const ProcessIdentity& helper : kept.helpers)
    processes.helpers.push_back(open_kept(helper, "a helper of the virtual machine"));
  for (const ProcessIdentity& shim : kept.shims)
    processes.shims.push_back(open_kept(shim, "the shim"));
  processes.changes = duplicate(kept.changes);
  processes.listener = duplicate(kept.listener);
  processes.held = duplicate(kept.held);
  send_kept_processes(keeper_.get(), processes);
  keeper_.reset();
}

}  // namespace husk::guestcomm
