// SPDX-License-Identifier: Apache-2.0
#include "shim/stream_pump.hpp"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstddef>

#include "lib/base/error.hpp"

namespace husk::shim {
namespace {

// On the stack of a 64 KiB thread: no heap, so that a thread costs a few pages.
constexpr std::size_t buffer_bytes = 32 * 1024;
constexpr std::size_t stack_bytes = 64 * 1024;

bool write_everything(int fd, const char* data, std::size_t size) {
  while (size > 0) {
    const ssize_t n = ::write(fd, data, size);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    data += n;
    size -= static_cast<std::size_t>(n);
  }
  return true;
}

/// Copies until end of file on `from` or an error on either side. Not by splice(2): it holds the pipe's
/// lock while it waits for the socket, and whoever has the other end of the pipe then cannot even
/// read what is in it. Output came late or never, and conmon, which writes and reads in one thread,
/// hung.
void copy(int from, int to) {
  char buffer[buffer_bytes];
  for (;;) {
    const ssize_t n = ::read(from, buffer, sizeof buffer);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0 || !write_everything(to, buffer, static_cast<std::size_t>(n))) return;
  }
}

}  // namespace

StreamPump::StreamPump(int caller_fd, int guest_fd, Direction direction, AtEnd at_end)
    : caller_fd_(caller_fd), guest_fd_(guest_fd), direction_(direction), at_end_(at_end) {
  pthread_attr_t attributes;
  ::pthread_attr_init(&attributes);
  ::pthread_attr_setstacksize(&attributes, stack_bytes);
  const int error = ::pthread_create(&thread_, &attributes, run, this);
  ::pthread_attr_destroy(&attributes);
  if (error != 0) throw_errno("start a stream thread", error);
}

void* StreamPump::run(void* self) {
  static_cast<StreamPump*>(self)->carry();
  return nullptr;
}

void StreamPump::carry() const {
  if (direction_ == Direction::to_guest) {
    copy(caller_fd_, guest_fd_);
  } else {
    copy(guest_fd_, caller_fd_);
  }
  // shutdown first: it tells the guest even where a copy of the socket lives on. This direction
  // alone: the other may be somebody else's.
  if (at_end_ == AtEnd::shut_down)
    ::shutdown(guest_fd_, direction_ == Direction::to_guest ? SHUT_WR : SHUT_RD);
  ::close(guest_fd_);
  ::close(caller_fd_);
}

void StreamPump::wait() { ::pthread_join(thread_, nullptr); }

}  // namespace husk::shim
