// SPDX-License-Identifier: Apache-2.0
#include "agent/container/notify_socket.hpp"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>

#include "lib/base/error.hpp"
#include "lib/base/log.hpp"
#include "lib/base/random_id.hpp"
#include "lib/base/unix_address.hpp"
#include "lib/guestcomm/protocol/process_messages.hpp"

namespace husk::agent {

NotifySocket::NotifySocket(EventLoop& loop, const std::filesystem::path& directory,
                           std::function<void(const std::string&)> on_text)
    : loop_(loop),
      path_(directory / ("notify-" + random_hex(8))),
      on_text_(std::move(on_text)),
      socket_(
          check_sys(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), "socket")) {
  const sockaddr_un name = unix_address(path_);
  check_sys(::bind(socket_.get(), reinterpret_cast<const sockaddr*>(&name), sizeof name),
            "bind " + path_.string());
  ::chmod(path_.c_str(), 0666);  // the container's processes may be any user's
  watch();
}

NotifySocket::~NotifySocket() {
  if (resting_) loop_.cancel(*resting_);
  ::unlink(path_.c_str());
}

void NotifySocket::watch() {
  resting_.reset();
  watch_ = loop_.watch(socket_.get(), EPOLLIN, [this](std::uint32_t) { receive(); });
}

/// One datagram, then a rest.
void NotifySocket::receive() {
  if (!take_one()) return;
  watch_.reset();
  resting_ = loop_.after(rest, [this] { watch(); });
}

void NotifySocket::finish() noexcept {
  warn_on_failure([&] {
    for (int i = 0; i < max_last_words && take_one(); ++i) continue;
  });
}

/// Descriptors that come with it are closed by the kernel, as there is no room for them.
bool NotifySocket::take_one() {
  std::array<char, guestcomm::max_notify_bytes + 1> text{};
  const ssize_t count = ::recv(socket_.get(), text.data(), text.size(), MSG_DONTWAIT);
  if (count < 0) return false;
  if (count > 0 && static_cast<std::size_t>(count) <= guestcomm::max_notify_bytes)
    on_text_(std::string(text.data(), static_cast<std::size_t>(count)));
  return true;
}

}  // namespace husk::agent
