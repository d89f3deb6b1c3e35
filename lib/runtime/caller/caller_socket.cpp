// SPDX-License-Identifier: Apache-2.0
#include "lib/runtime/caller/caller_socket.hpp"

#include <sys/socket.h>

#include "lib/base/descriptors.hpp"
#include "lib/base/error.hpp"
#include "lib/base/unix_address.hpp"

namespace husk::runtime {
namespace {

/// A Unix socket's connection is there or refused at once, but for a full queue.
constexpr int connect_patience_s = 10;

UniqueFd connect_to(const std::filesystem::path& path, const std::string& kind) {
  const sockaddr_un address = step(kind, [&] { return unix_address(path); });
  UniqueFd socket{check_sys(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket")};
  const timeval patience{.tv_sec = connect_patience_s, .tv_usec = 0};
  check_sys(::setsockopt(socket.get(), SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience),
            "limit the " + kind);
  check_sys(::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address),
            "connect to " + kind + " " + path.string());
  return socket;
}

}  // namespace

void send_to_caller(const std::filesystem::path& socket, const std::string& kind,
                    const std::string& name, int descriptor) {
  send_with_descriptors(connect_to(socket, kind).get(), name, {descriptor});
}

}  // namespace husk::runtime
