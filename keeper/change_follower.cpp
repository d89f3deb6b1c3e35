// SPDX-License-Identifier: Apache-2.0
#include "keeper/change_follower.hpp"

#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>

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

void ChangeFollower::add_to(std::vector<int>& watched) const {
  if (changes_) watched.push_back(changes_.get());
  worker_.add_to(watched);
}

milliseconds ChangeFollower::patience() const {
  if (!due_ || worker_.is_at_work()) return milliseconds{-1};
  const auto left = std::chrono::ceil<milliseconds>(*due_ - steady_clock::now());
  return std::max(left, milliseconds{0});
}

void ChangeFollower::handle() {
  if (changes_ && drain(changes_)) due_ = steady_clock::now() + quiet;
  worker_.finish();
  if (!due_ || worker_.is_at_work() || steady_clock::now() < *due_) return;
  due_.reset();
  worker_.begin(on_change_);
}

}  // namespace husk::keeper
