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

}  // namespace

KillCounter::~KillCounter() {
  if (worker_ > 0) ::waitpid(worker_, nullptr, WNOHANG);
}

void KillCounter::add_to(std::vector<int>& watched) const {
  if (kills_ && waiting_.size() < max_waiting) watched.push_back(kills_.get());
  if (worker_pidfd_) watched.push_back(worker_pidfd_.get());
}

milliseconds KillCounter::patience() const {
  // Without a pidfd nothing tells of the worker's end.
  return worker_ > 0 && !worker_pidfd_ ? first_interval : milliseconds{-1};
}

void KillCounter::handle() {
  finish_work();
  receive();
  while (!waiting_.empty() && worker_ < 0) {
    if (is_due(waiting_.front().container)) return begin_work();
    answer(waiting_.front());
    waiting_.pop_front();
  }
}

bool KillCounter::is_due(const std::string& container) {
  const auto now = now_();
  if (paces_.size() >= max_paces && !paces_.contains(container)) paces_.clear();
  Pace& pace = paces_[container];
  if (now < pace.next) return false;
  const bool was_quiet = now >= pace.next + last_interval;
  pace.interval = was_quiet ? first_interval : std::min(2 * pace.interval, last_interval);
  pace.next = now + pace.interval;
  return true;
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
  if (worker_ > 0) {
    worker_pidfd_.reset(static_cast<int>(::syscall(SYS_pidfd_open, worker_, 0)));
  } else {
    answer(waiting_.front());  // no process can be made now
    waiting_.pop_front();
  }
}

void KillCounter::finish_work() {
  if (worker_ <= 0 || ::waitpid(worker_, nullptr, WNOHANG) != worker_) return;
  worker_ = -1;
  worker_pidfd_.reset();
  answer(waiting_.front());
  waiting_.pop_front();
}

/// The shim waits for the answer before it exits: the cgroup goes after it.
void KillCounter::answer(const Kill& kill) const {
  ::sendto(kills_.get(), "", 1, MSG_DONTWAIT | MSG_NOSIGNAL,
           reinterpret_cast<const sockaddr*>(&kill.shim), kill.shim_size);
}

}  // namespace husk::keeper
