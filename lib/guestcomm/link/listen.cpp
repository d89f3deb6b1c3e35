// SPDX-License-Identifier: Apache-2.0
#include "lib/guestcomm/link/listen.hpp"

#include <fcntl.h>
#include <linux/vm_sockets.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>

#include "lib/base/error.hpp"
#include "lib/base/files.hpp"
#include "lib/base/unix_address.hpp"
#include "lib/guestcomm/link/socket_announcement.hpp"
#include "lib/guestcomm/link/source_port.hpp"

namespace husk::guestcomm {
namespace {

/// More than the connections of other guests fill between two of husk's looks.
constexpr int backlog = 128;
constexpr std::uint32_t hybrid_port = 1026;  ///< any will do: each VM has a directory of its own

UniqueFd listening_socket(int family) {
  return UniqueFd(check_sys(::socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0),
                            "make a socket for the guest's announcement"));
}

class VsockAnnouncement final : public SocketAnnouncement {
 public:
  VsockAnnouncement(UniqueFd listener, std::uint32_t port)
      : SocketAnnouncement(std::move(listener)), port_(port) {}
  std::uint32_t port() const override { return port_; }

 private:
  UniqueFd accept_from(const GuestAddress& address) override {
    sockaddr_vm peer{};
    socklen_t size = sizeof peer;
    // NOLINTNEXTLINE(cppcoreguidelines-pro-type-reinterpret-cast): how the sockets API is
    UniqueFd connection(::accept4(listener_.get(), reinterpret_cast<sockaddr*>(&peer), &size,
                                  SOCK_CLOEXEC | SOCK_NONBLOCK));
    // Every guest on the host reaches this port; only the one that was started is believed.
    const auto* expected = std::get_if<VsockAddress>(&address);
    if (connection && (expected == nullptr || peer.svm_cid != expected->cid)) connection.reset();
    return connection;
  }

  std::uint32_t port_;
};

class HybridAnnouncement final : public SocketAnnouncement {
 public:
  HybridAnnouncement(UniqueFd listener, UniqueFd directory, std::string name)
      : SocketAnnouncement(std::move(listener)),
        directory_(std::move(directory)),
        name_(std::move(name)) {}
  HybridAnnouncement(const HybridAnnouncement&) = delete;
  HybridAnnouncement& operator=(const HybridAnnouncement&) = delete;
  ~HybridAnnouncement() override { ::unlinkat(directory_.get(), name_.c_str(), 0); }
  std::uint32_t port() const override { return hybrid_port; }

 private:
  UniqueFd accept_from(const GuestAddress&) override {
    return UniqueFd(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  }

  UniqueFd directory_;
  std::string name_;
};

}  // namespace

std::unique_ptr<Announcement> listen_vsock() {
  UniqueFd listener = listening_socket(AF_VSOCK);
  const std::uint32_t port = bind_port(listener.get(), SourcePort::any);
  check_sys(::listen(listener.get(), backlog), "listen on a vsock port");
  return std::make_unique<VsockAnnouncement>(std::move(listener), port);
}

std::unique_ptr<Announcement> listen_hybrid(const std::filesystem::path& uds_path, unsigned uid,
                                            unsigned gid) {
  const std::string directory_path = uds_path.parent_path().string();
  const std::string file = uds_path.filename().string() + "_" + std::to_string(hybrid_port);
  UniqueFd directory(
      check_sys(::open(directory_path.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC),
                "open " + directory_path));
  const std::string short_path = fd_path(directory.get()) + "/" + file;
  const sockaddr_un name = unix_address(short_path);
  UniqueFd listener = listening_socket(AF_UNIX);
  // NOLINTNEXTLINE(cppcoreguidelines-pro-type-reinterpret-cast): how the sockets API is
  check_sys(::bind(listener.get(), reinterpret_cast<const sockaddr*>(&name), sizeof name),
            "bind " + directory_path + "/" + file);
  const int directory_fd = directory.get();
  const int listener_fd = listener.get();
  // From here on the object removes the socket again, whatever fails.
  auto announcement =
      std::make_unique<HybridAnnouncement>(std::move(listener), std::move(directory), file);
  check_sys(::fchownat(directory_fd, file.c_str(), uid, gid, AT_SYMLINK_NOFOLLOW),
            "chown " + directory_path + "/" + file);
  check_sys(::listen(listener_fd, backlog), "listen on " + directory_path + "/" + file);
  return announcement;
}

}  // namespace husk::guestcomm
