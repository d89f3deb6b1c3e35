// SPDX-License-Identifier: Apache-2.0
#include "lib/runtime/vm/kill_socket.hpp"

#include <sys/socket.h>
#include <sys/stat.h>

#include <cerrno>

#include "lib/base/error.hpp"
#include "lib/base/unix_address.hpp"

namespace husk::runtime {
namespace {

UniqueFd datagram_socket() {
  return UniqueFd(
      check_sys(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), "socket"));
}

const sockaddr* generic(const sockaddr_un& address) {
  return reinterpret_cast<const sockaddr*>(&address);
}

}  // namespace

UniqueFd make_kill_socket(const VmPaths& vm) {
  UniqueFd socket = datagram_socket();
  check_sys(::fchmod(socket.get(), 0600), "chmod a socket");  // the file's mode, once it is bound
  const sockaddr_un name = unix_address(vm.kills());
  check_sys(::bind(socket.get(), generic(name), sizeof name), "bind " + vm.kills().string());
  return socket;
}

UniqueFd connect_kill_socket(const VmPaths& vm) {
  UniqueFd socket = datagram_socket();
  const sockaddr_un name = unix_address(vm.kills());
  if (::connect(socket.get(), generic(name), sizeof name) != 0) {
    if (errno == ENOENT || errno == ECONNREFUSED) return {};
    throw_errno("connect to " + vm.kills().string());
  }
  // A name that the kernel chooses. None but the peer is heard.
  const sockaddr_un any{.sun_family = AF_UNIX, .sun_path = {}};
  check_sys(::bind(socket.get(), generic(any), sizeof any.sun_family), "name a socket");
  return socket;
}

}  // namespace husk::runtime
