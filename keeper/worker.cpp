// SPDX-License-Identifier: Apache-2.0
#include "keeper/worker.hpp"

#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <exception>

namespace husk::keeper {

Worker::~Worker() {
  if (pid_ > 0) ::waitpid(pid_, nullptr, WNOHANG);
}

bool Worker::begin(const std::function<void()>& work) {
  pid_ = ::fork();
  if (pid_ == 0) {
    try {
      work();
    } catch (const std::exception&) {
      ::_exit(1);
    }
    ::_exit(0);
  }
  if (pid_ > 0) pidfd_.reset(static_cast<int>(::syscall(SYS_pidfd_open, pid_, 0)));
  return pid_ > 0;
}

void Worker::add_to(std::vector<int>& watched) const {
  if (pidfd_) watched.push_back(pidfd_.get());
}

std::optional<bool> Worker::finish() {
  int status = 0;
  if (pid_ <= 0 || ::waitpid(pid_, &status, WNOHANG) != pid_) return std::nullopt;
  pid_ = -1;
  pidfd_.reset();
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

}  // namespace husk::keeper
