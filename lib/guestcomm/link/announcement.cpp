// SPDX-License-Identifier: Apache-2.0
#include "lib/guestcomm/link/announcement.hpp"

#include <fcntl.h>
#include <linux/vm_sockets.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <charconv>
#include <string>
#include <string_view>

#include "lib/base/deadline.hpp"
#include "lib/base/error.hpp"
#include "lib/base/files.hpp"
#include "lib/base/text.hpp"
#include "lib/base/unix_address.hpp"

namespace husk::guestcomm {
namespace {

constexpr std::string_view greeting = "HUSK-AGENT ";
constexpr std::size_t max_announcement = 32;
constexpr int backlog = 8;
constexpr std::uint32_t hybrid_port = 1026;  ///< any will do: each VM has a directory of its own

int parse_announcement(const std::string& line) {
  int protocol = 0;
  const char* const end = line.data() + line.size();
  const bool greeted = std::string_view(line).starts_with(greeting);
  const auto parsed = greeted ? std::from_chars(line.data() + greeting.size(), end, protocol)
                              : std::from_chars_result{line.data(), std::errc::invalid_argument};
  if (parsed.ec != std::errc{} || parsed.ptr != end || protocol <= 0)
    throw Error(Errc::invalid_argument, "the guest announced itself with " + quote(line));
  return protocol;
}

UniqueFd listening_socket(int family) {
  return UniqueFd(check_sys(::socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0),
                            "make a socket for the guest's announcement"));
}

class SocketAnnouncement : public Announcement {
 public:
  explicit SocketAnnouncement(UniqueFd listener) : listener_(std::move(listener)) {}

  int wait(const GuestAddress& address, int vm_gone_fd,
           std::chrono::milliseconds patience) override {
    const Deadline deadline(patience);
    for (;;) {
      const Readiness readiness = await(listener_.get(), POLLIN, vm_gone_fd, deadline);
      if (readiness == Readiness::gone)
        throw Error(Errc::peer_lost, "the virtual machine ended before its agent answered");
      if (readiness == Readiness::timed_out)
        throw Error(Errc::timed_out, "the guest's agent did not answer within " +
                                         std::to_string(patience.count()) + " ms");
      const UniqueFd connection = accept_from(address);
      if (connection) {
        return parse_announcement(read_line(connection.get(), max_announcement, vm_gone_fd,
                                            deadline, "the guest's announcement"));
      }
    }
  }

 private:
  /// Empty if the connection is not from that guest, or went before it was accepted.
  virtual UniqueFd accept_from(const GuestAddress& address) = 0;

 protected:
  UniqueFd listener_;
};

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
  sockaddr_vm name{};
  name.svm_family = AF_VSOCK;
  name.svm_cid = VMADDR_CID_ANY;
  name.svm_port = VMADDR_PORT_ANY;
  socklen_t size = sizeof name;
  // NOLINTNEXTLINE(cppcoreguidelines-pro-type-reinterpret-cast): how the sockets API is
  auto* const address = reinterpret_cast<sockaddr*>(&name);
  check_sys(::bind(listener.get(), address, size), "bind a vsock port");
  check_sys(::listen(listener.get(), backlog), "listen on a vsock port");
  check_sys(::getsockname(listener.get(), address, &size), "read a vsock port");
  return std::make_unique<VsockAnnouncement>(std::move(listener), name.svm_port);
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
