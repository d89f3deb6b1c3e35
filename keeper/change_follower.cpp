// SPDX-License-Identifier: Apache-2.0
#include "keeper/change_follower.hpp"

#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <exception>

namespace husk::keeper {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

/// The handler reads anew what changed; also after the kernel had no room to tell (ENOBUFS).
/// Closes a socket that tells no more.
bool drain(UniqueFd& socket) {
  std::array<char, 16 << 10> buffer;
  for (bool was_told = false;; was_told = true) {
    const ssize_t count = ::recv(socket.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (count > 0 || (count < 0 && (errno == ENOBUFS || errno == EINTR))) continue;
    if (count == 0 || errno != EAGAIN) socket.reset();
    return was_told;
  }
}

}  // namespace

ChangeFollower::~ChangeFollower() {
  if (worker_ > 0) ::waitpid(worker_, nullptr, WNOHANG);
}

void ChangeFollower::add_to(std::vector<int>& watched) const {
  if (changes_) watched.push_back(changes_.get());
  if (worker_pidfd_) watched.push_back(worker_pidfd_.get());
}

milliseconds ChangeFollower::patience() const {
  if (!due_ || worker_ > 0) return milliseconds{-1};
  const auto left = std::chrono::ceil<milliseconds>(*due_ - steady_clock::now());
  return std::max(left, milliseconds{0});
}

void ChangeFollower::handle() {
  if (changes_ && drain(changes_)) due_ = steady_clock::now() + quiet;
  if (worker_ > 0 && ::waitpid(worker_, nullptr, WNOHANG) == worker_) {
    worker_ = -1;
    worker_pidfd_.reset();
  }
  if (due_ && worker_ < 0 && steady_clock::now() >= *due_) begin_work();
}

void ChangeFollower::begin_work() {
  due_.reset();
  worker_ = ::fork();
  if (worker_ == 0) {
    try {
      on_change_();
    } catch (const std::exception&) {
      ::_exit(1);
    }
    ::_exit(0);
  }
  if (worker_ > 0) worker_pidfd_.reset(static_cast<int>(::syscall(SYS_pidfd_open, worker_, 0)));
}

}  // namespace husk::keeper
