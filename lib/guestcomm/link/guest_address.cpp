// SPDX-License-Identifier: Apache-2.0
#include "lib/guestcomm/link/guest_address.hpp"

#include <fcntl.h>
#include <linux/vm_sockets.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <nlohmann/json.hpp>

#include "lib/base/deadline.hpp"
#include "lib/base/error.hpp"
#include "lib/base/files.hpp"
#include "lib/base/text.hpp"
#include "lib/base/unix_address.hpp"
#include "lib/guestcomm/link/source_port.hpp"
#include "lib/guestcomm/protocol/protocol_range.hpp"

namespace husk::guestcomm {
namespace {

constexpr std::size_t max_ok_line = 64;
constexpr int backlog_pause_ms = 5;

[[noreturn]] void throw_lost(const std::string& doing, int error) {
  throw Error(Errc::peer_lost, doing + ": " + errno_text(error), error);
}

UniqueFd new_socket(int family) {
  return UniqueFd(check_sys(::socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0),
                            family == AF_VSOCK ? "make a vsock socket" : "make a unix socket"));
}

void await_connected(int socket, const Deadline& deadline, const std::string& doing) {
  if (await(socket, POLLOUT, -1, deadline) == Readiness::timed_out)
    throw Error(Errc::timed_out, doing + ": no answer in time");
  int error = 0;
  socklen_t size = sizeof error;
  check_sys(::getsockopt(socket, SOL_SOCKET, SO_ERROR, &error, &size), doing);
  if (error != 0) throw_lost(doing, error);
}

/// Begins to connect, waiting for room in the listener's queue (Unix sockets) but not for the answer.
template <typename Address>
void begin_to_connect(int socket, const Address& address, const Deadline& deadline,
                      const std::string& doing) {
  for (;;) {
    // NOLINTNEXTLINE(cppcoreguidelines-pro-type-reinterpret-cast): how the sockets API is
    if (::connect(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) return;
    if (errno == EINPROGRESS || errno == EINTR) return;
    if (errno != EAGAIN) throw_lost(doing, errno);
    if (deadline.passed()) throw Error(Errc::timed_out, doing + ": its accept queue is full");
    ::poll(nullptr, 0, backlog_pause_ms);
  }
}

UniqueFd begin_vsock(const VsockAddress& address, std::uint32_t port, SourcePort source,
                     const Deadline& deadline, const std::string& doing) {
  UniqueFd socket = new_socket(AF_VSOCK);
  bind_port(socket.get(), source);
  sockaddr_vm name{};
  name.svm_family = AF_VSOCK;
  name.svm_cid = address.cid;
  name.svm_port = port;
  begin_to_connect(socket.get(), name, deadline, doing);
  return socket;
}

/// The directory belongs to an unprivileged user who may be the guest's prisoner breaking out: a
/// symbolic link there must not lead us to another socket, so the very inode looked at is used.
UniqueFd open_socket_inode(const std::string& path) {
  UniqueFd inode(::open(path.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
  if (!inode) throw_lost("vsock socket " + path, errno);
  struct stat info {};
  check_sys(::fstat(inode.get(), &info), "stat " + path);
  if (!S_ISSOCK(info.st_mode))
    throw Error(Errc::invalid_argument, "vsock socket " + path + ": not a socket");
  return inode;
}

UniqueFd connect_unix(const std::string& path, const Deadline& deadline) {
  const UniqueFd inode = open_socket_inode(path);
  UniqueFd socket = new_socket(AF_UNIX);
  // Through /proc the path is short enough.
  begin_to_connect(socket.get(), unix_address(fd_path(inode.get())), deadline,
                   "connect to vsock socket " + path);
  return socket;
}

UniqueFd begin_hybrid(const HybridAddress& address, std::uint32_t port, const Deadline& deadline,
                      const std::string& doing) {
  UniqueFd socket = connect_unix(address.socket_path, deadline);
  const std::string request = "CONNECT " + std::to_string(port) + "\n";
  // Fits into any fresh socket's buffer; MSG_NOSIGNAL, as the peer may be gone already.
  if (::send(socket.get(), request.data(), request.size(), MSG_NOSIGNAL) !=
      static_cast<ssize_t>(request.size()))
    throw_lost(doing, errno);
  return socket;
}

void await_hybrid_answer(int socket, const Deadline& deadline, const std::string& doing) {
  const std::string answer = read_line(socket, max_ok_line, -1, deadline, doing);
  if (!answer.starts_with("OK "))
    throw Error(Errc::peer_lost, doing + ": the vsock device answered " + quote(answer));
}

std::string describe(const GuestAddress& address, std::uint32_t port) {
  const std::string doing = "connect to guest port " + std::to_string(port);
  const auto* vsock = std::get_if<VsockAddress>(&address);
  return vsock == nullptr ? doing : doing + " of CID " + std::to_string(vsock->cid);
}

/// False in records of husk's earlier releases.
bool is_any_port(const nlohmann::json& json) {
  const auto found = json.find("anyPort");
  if (found == json.end()) return false;
  if (!found->is_boolean())
    throw Error(Errc::invalid_argument, "guest address: anyPort is not true or false");
  return found->get<bool>();
}

void make_blocking(int socket) {
  const int flags = check_sys(::fcntl(socket, F_GETFL), "read socket flags");
  check_sys(::fcntl(socket, F_SETFL, flags & ~O_NONBLOCK), "set socket flags");
}

}  // namespace

void to_json(nlohmann::json& json, const GuestAddress& address) {
  if (const auto* vsock = std::get_if<VsockAddress>(&address))
    json = {{"vsockCid", vsock->cid}, {"anyPort", vsock->any_port}};
  else
    json = {{"hybridSocket", std::get<HybridAddress>(address).socket_path}};
}

void from_json(const nlohmann::json& json, GuestAddress& address) {
  const auto cid = json.is_object() ? json.find("vsockCid") : json.end();
  const auto path = json.is_object() ? json.find("hybridSocket") : json.end();
  if (cid != json.end() && cid->is_number_unsigned() && cid->get<std::uint64_t>() <= UINT32_MAX)
    address = VsockAddress{.cid = cid->get<std::uint32_t>(), .any_port = is_any_port(json)};
  else if (path != json.end() && path->is_string())
    address = HybridAddress{path->get<std::string>()};
  else
    throw Error(Errc::invalid_argument, "guest address: neither vsockCid nor hybridSocket");
}

GuestConnection::GuestConnection(const GuestAddress& address, std::uint32_t port,
                                 const Deadline& deadline, SourcePort source)
    : doing_(describe(address, port)),
      deadline_(deadline),
      is_hybrid_(std::holds_alternative<HybridAddress>(address)) {
  socket_ = is_hybrid_
                ? begin_hybrid(std::get<HybridAddress>(address), port, deadline_, doing_)
                : begin_vsock(std::get<VsockAddress>(address), port, source, deadline_, doing_);
}

UniqueFd GuestConnection::finish() {
  if (is_hybrid_) {
    await_hybrid_answer(socket_.get(), deadline_, doing_);
  } else {
    await_connected(socket_.get(), deadline_, doing_);
  }
  make_blocking(socket_.get());
  return std::move(socket_);
}

UniqueFd connect_guest(const GuestAddress& address, std::uint32_t port,
                       std::chrono::milliseconds patience, SourcePort source) {
  return GuestConnection(address, port, Deadline(patience), source).finish();
}

GuestAddress with_protocol(GuestAddress address, int protocol) {
  if (auto* vsock = std::get_if<VsockAddress>(&address))
    vsock->any_port = protocol >= any_port_protocol;
  return address;
}

SourcePort first_source(const GuestAddress& address) {
  const auto* vsock = std::get_if<VsockAddress>(&address);
  return vsock != nullptr && vsock->any_port ? SourcePort::any : SourcePort::privileged;
}

bool is_crowded_out(const GuestAddress& address, const Error& lost) {
  return first_source(address) == SourcePort::any && lost.code() == Errc::peer_lost;
}

bool has_vhost_vsock() {
  const UniqueFd device(::open("/dev/vhost-vsock", O_RDWR | O_CLOEXEC));
  const UniqueFd socket(::socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0));
  return device && socket;
}

}  // namespace husk::guestcomm
