// SPDX-License-Identifier: Apache-2.0
#include "keeper/kill_counter.hpp"

#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <exception>

namespace husk::keeper {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

}  // namespace

KillCounter::~KillCounter() {
  if (worker_ > 0) ::waitpid(worker_, nullptr, WNOHANG);
}

void KillCounter::add_to(std::vector<int>& watched) const {
  if (kills_ && waiting_.size() < max_waiting) watched.push_back(kills_.get());
  if (worker_pidfd_) watched.push_back(worker_pidfd_.get());
}

milliseconds KillCounter::patience() const {
  if (waiting_.empty() || worker_ > 0 || !last_) return milliseconds{-1};
  const auto left = std::chrono::ceil<milliseconds>(*last_ + interval - steady_clock::now());
  return std::max(left, milliseconds{0});
}

void KillCounter::handle() {
  finish_work();
  receive();
  const bool is_due = !last_ || steady_clock::now() >= *last_ + interval;
  if (!waiting_.empty() && worker_ < 0 && is_due) begin_work();
}

void KillCounter::receive() {
  while (kills_ && waiting_.size() < max_waiting) {
    std::array<char, max_id_bytes> text;
    Kill kill;
    kill.shim_size = sizeof kill.shim;
    const ssize_t count = ::recvfrom(kills_.get(), text.data(), text.size(), MSG_DONTWAIT,
                                     reinterpret_cast<sockaddr*>(&kill.shim), &kill.shim_size);
    if (count <= 0) return;
    kill.container.assign(text.data(), static_cast<std::size_t>(count));
    // It becomes an argument of a program.
    if (kill.container.find('\0') == std::string::npos) waiting_.push_back(std::move(kill));
  }
}

void KillCounter::begin_work() {
  worker_ = ::fork();
  if (worker_ == 0) {
    try {
      on_kill_(waiting_.front().container);
    } catch (const std::exception&) {
      ::_exit(1);
    }
    ::_exit(0);
  }
  if (worker_ > 0) worker_pidfd_.reset(static_cast<int>(::syscall(SYS_pidfd_open, worker_, 0)));
  last_ = steady_clock::now();
}

/// The shim waits for the answer before it exits: the cgroup goes after it.
void KillCounter::finish_work() {
  if (worker_ <= 0 || ::waitpid(worker_, nullptr, WNOHANG) != worker_) return;
  worker_ = -1;
  worker_pidfd_.reset();
  last_ = steady_clock::now();
  const Kill& done = waiting_.front();
  ::sendto(kills_.get(), "", 1, MSG_DONTWAIT | MSG_NOSIGNAL,
           reinterpret_cast<const sockaddr*>(&done.shim), done.shim_size);
  waiting_.pop_front();
}

}  // namespace husk::keeper
