// SPDX-License-Identifier: Apache-2.0
#include "lib/network/namespace.hpp"

#include <fcntl.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include <cstdlib>

#include "lib/base/error.hpp"
#include "lib/base/log.hpp"

namespace husk::network {

NetworkNamespace NetworkNamespace::of_path(const std::filesystem::path& path) {
  // O_NONBLOCK: a wrong path may be a fifo.
  UniqueFd fd{check_sys(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK), path.string())};
  if (::ioctl(fd.get(), NS_GET_NSTYPE) != CLONE_NEWNET)
    throw Error(Errc::invalid_argument, path.string() + ": not a network namespace");
  return {std::move(fd), path.string()};
}

NetworkNamespace NetworkNamespace::of_process(pid_t pid) {
  return of_path("/proc/" + std::to_string(pid) + "/ns/net");
}

NetworkNamespace NetworkNamespace::current() { return of_path("/proc/thread-self/ns/net"); }

NetworkNamespace NetworkNamespace::duplicate() const {
  return {UniqueFd{check_sys(::fcntl(fd(), F_DUPFD_CLOEXEC, 0), name_)}, name_};
}

bool NetworkNamespace::operator==(const NetworkNamespace& other) const {
  struct stat a {
  }, b{};
  check_sys(::fstat(fd(), &a), name_);
  check_sys(::fstat(other.fd(), &b), other.name_);
  return a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

InNetworkNamespace::InNetworkNamespace(const NetworkNamespace& there)
    : back_(NetworkNamespace::current()) {
  check_sys(::setns(there.fd(), CLONE_NEWNET), "enter network namespace " + there.name());
}

InNetworkNamespace::~InNetworkNamespace() {
  if (::setns(back_.fd(), CLONE_NEWNET) == 0) return;
  log(LogLevel::error, "cannot leave a network namespace: " + errno_text(errno));
  std::abort();
}

}  // namespace husk::network
