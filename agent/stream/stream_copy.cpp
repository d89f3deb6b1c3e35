// SPDX-License-Identifier: Apache-2.0
#include "agent/stream/stream_copy.hpp"

#include <fcntl.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "lib/base/error.hpp"
#include "lib/guestcomm/protocol/write_limit.hpp"

namespace husk::agent {
namespace {

constexpr std::size_t chunk_bytes = 64u << 10;
constexpr int chunks_per_turn = 16;  ///< then the other streams and requests have their turn

void make_non_blocking(int fd) {
  const int flags = check_sys(::fcntl(fd, F_GETFL), "fcntl");
  check_sys(::fcntl(fd, F_SETFL, flags | O_NONBLOCK), "fcntl");
}

bool would_block(int error) { return error == EAGAIN || error == EINTR; }

}  // namespace

StreamCopy::StreamCopy(EventLoop& loop, UniqueFd from, UniqueFd to, std::function<void()> on_done)
    : loop_(loop), from_(std::move(from)), to_(std::move(to)), on_done_(std::move(on_done)) {
  make_non_blocking(from_.get());
  make_non_blocking(to_.get());
  wait_readable();
}

void StreamCopy::stop() noexcept {
  from_watch_.reset();
  to_watch_.reset();
  from_.reset();
  to_.reset();
}

void StreamCopy::finish() {
  if (done()) return;
  stop();
  pending_ = {};
  if (on_done_) on_done_();
}

void StreamCopy::finish_when_empty() {
  finish_when_empty_ = true;
  if (!done()) pump();
}

void StreamCopy::wait_readable() {
  from_watch_ = loop_.watch(
      from_.get(), EPOLLIN, [this](std::uint32_t) { pump(); }, [this] { finish(); });
  // No event asked for: only a receiver that is gone for good (EPOLLERR, EPOLLHUP) wakes us.
  to_watch_ = loop_.watch(to_.get(), 0, [this](std::uint32_t) { finish(); });
}

void StreamCopy::wait_writable() {
  // The source is not watched meanwhile: its hang-up would be reported without end.
  from_watch_.reset();
  to_watch_ = loop_.watch(
      to_.get(), EPOLLOUT, [this](std::uint32_t) { pump(); }, [this] { finish(); });
}

bool StreamCopy::fill() {
  // All streams share one buffer: bytes stay in a stream's own memory only when its receiver is slow.
  static std::array<char, chunk_bytes> chunk;
  const ssize_t count = ::read(from_.get(), chunk.data(), chunk.size());
  if (count > 0) {
    pending_.assign(chunk.data(), static_cast<std::size_t>(count));
    sent_ = 0;
    return true;
  }
  if (count < 0 && would_block(errno) && !finish_when_empty_) {
    wait_readable();
  } else {
    finish();
  }
  return false;
}

bool StreamCopy::drain() {
  while (sent_ < pending_.size()) {
    const std::size_t size = std::min(pending_.size() - sent_, guestcomm::guest_write_limit);
    const ssize_t count = ::write(to_.get(), pending_.data() + sent_, size);
    if (count > 0) {
      sent_ += static_cast<std::size_t>(count);
      continue;
    }
    if (would_block(errno)) {
      wait_writable();
    } else {
      finish();  // EPIPE and the like: nobody reads any more
    }
    return false;
  }
  pending_.clear();
  return true;
}

void StreamCopy::pump() {
  for (int turn = 0; turn < chunks_per_turn; ++turn) {
    if (pending_.empty() && !fill()) return;
    if (!drain()) return;
  }
  wait_readable();
}

}  // namespace husk::agent
