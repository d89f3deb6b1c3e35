// SPDX-License-Identifier: Apache-2.0
#include "lib/guestcomm/vhost_user_vsock.hpp"

#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <string>

#include "lib/base/error.hpp"
#include "lib/guestcomm/deadline.hpp"
#include "lib/guestcomm/vsock_keeper.hpp"

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

/// Forks twice, so that the keeper is nobody's zombie.
void start_keeper(const VsockKeeper& keeper) {
  const pid_t child = check_sys(::fork(), "fork the vsock device's keeper");
  if (child == 0) {
    const pid_t grandchild = ::fork();
    if (grandchild == 0) run_vsock_keeper(keeper);
    ::_exit(grandchild < 0 ? 1 : 0);
  }
  int status = 0;
  while (::waitpid(child, &status, 0) < 0) {
    if (errno != EINTR) throw_errno("wait for a forked process");
  }
  if (status != 0) throw Error(Errc::system, "fork the vsock device's keeper: failed");
}

void send_descriptor(int socket, int descriptor) {
  char byte = 'V';
  iovec part{&byte, 1};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  cmsghdr* const header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof descriptor);
  std::copy_n(reinterpret_cast<const unsigned char*>(&descriptor), sizeof descriptor,
              CMSG_DATA(header));
  check_sys(::sendmsg(socket, &message, MSG_NOSIGNAL), "hand the vsock device over");
}

}  // namespace

VhostUserVsock::VhostUserVsock(const std::filesystem::path& directory, unsigned uid, unsigned gid)
    : directory_(directory) {
  if (::access(vhost_device_program, X_OK) != 0)
    throw Error(Errc::unsupported,
                "vhost-device-vsock is not installed and this host has no /dev/vhost-vsock");
  if (is_own_socket(device_socket()) || is_own_socket(host_socket()))
    throw Error(Errc::already_exists, directory.string() + ": has a vsock device already");
  std::array<int, 2> ends{};
  check_sys(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()),
            "make a socket pair");
  keeper_.reset(ends[0]);
  UniqueFd other_end(ends[1]);
  start_keeper({directory.string(), uid, gid, other_end.get()});
  other_end.reset();
  const Deadline deadline(start_patience);
  while (!is_own_socket(device_socket()) || !is_own_socket(host_socket())) {
    if (keeper_ended(keeper_.get(), look_again_ms))
      throw Error(Errc::system, "vhost-device-vsock ended before its sockets were there in " +
                                    directory.string());
    if (deadline.passed())
      throw Error(Errc::timed_out, "vhost-device-vsock made no sockets in " + directory.string());
  }
}

VhostUserVsock::~VhostUserVsock() {
  if (!keeper_) return;
  ::shutdown(keeper_.get(), SHUT_WR);
  keeper_ended(keeper_.get(), static_cast<int>(std::chrono::milliseconds(end_patience).count()));
}

std::filesystem::path VhostUserVsock::device_socket() const { return directory_ / "vhost.sock"; }
std::filesystem::path VhostUserVsock::host_socket() const { return directory_ / "vsock.sock"; }

void VhostUserVsock::hand_over(const ProcessIdentity& vm) {
  const UniqueFd pidfd(static_cast<int>(::syscall(SYS_pidfd_open, vm.pid, 0u)));
  // Asked after the pidfd is open: it is then known to be of that very process.
  if (!pidfd || !is_alive(vm)) throw Error(Errc::peer_lost, "the virtual machine ended");
  send_descriptor(keeper_.get(), pidfd.get());
  keeper_.reset();
}

}  // namespace husk::guestcomm
