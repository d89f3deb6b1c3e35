// SPDX-License-Identifier: Apache-2.0
#include "keeper/connection_server.hpp"

#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <exception>

namespace husk::keeper {

ConnectionServer::~ConnectionServer() {
  for (const auto& [pid, pidfd] : children_) {
    ::kill(pid, SIGKILL);
    ::waitpid(pid, nullptr, 0);
  }
}

void ConnectionServer::add_to(std::vector<int>& watched) const {
  if (listener_ && children_.size() < max_children) watched.push_back(listener_.get());
  for (const auto& [pid, pidfd] : children_) watched.push_back(pidfd.get());
}

void ConnectionServer::handle() {
  reap();
  if (!listener_ || children_.size() >= max_children) return;
  if (UniqueFd connection{::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC)})
    serve(std::move(connection));
}

void ConnectionServer::reap() {
  std::erase_if(children_, [](const auto& child) {
    return ::waitpid(child.first, nullptr, WNOHANG) == child.first;
  });
}

void ConnectionServer::serve(UniqueFd connection) {
  const pid_t keeper = ::getpid();
  const pid_t child = ::fork();
  if (child == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != keeper) ::_exit(1);
    listener_.reset();
    try {
      on_connection_(std::move(connection));
    } catch (const std::exception&) {
      ::_exit(1);
    }
    ::_exit(0);
  }
  if (child < 0) return;
  children_.emplace(child, static_cast<int>(::syscall(SYS_pidfd_open, child, 0)));
}

}  // namespace husk::keeper
