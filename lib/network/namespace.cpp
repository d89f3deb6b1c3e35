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

NetworkNamespace NetworkNamespace::of_process(const ProcessIdentity& process) {
  const std::string pid = std::to_string(process.pid);
  const Error ended(Errc::peer_lost, "process " + pid + ": has ended");
  try {
    NetworkNamespace ns = of_path("/proc/" + pid + "/ns/net");
    // Checked after the opening: the pid cannot have been another process's before.
    if (!is_alive(process)) throw ended;
    return ns;
  } catch (const Error& e) {
    if (e.code() == Errc::system && !is_alive(process)) throw ended;
    throw;
  }
}

NetworkNamespace NetworkNamespace::current() { return of_path("/proc/thread-self/ns/net"); }

NetworkNamespace NetworkNamespace::make() {
  const InNetworkNamespace back(current());  // comes back in the end
  check_sys(::unshare(CLONE_NEWNET), "make a network namespace");
  return current();
}

NetworkNamespace NetworkNamespace::duplicate() const {
  return {UniqueFd{check_sys(::fcntl(fd(), F_DUPFD_CLOEXEC, 0), name_)}, name_};
}

bool NetworkNamespace::is_the_hosts() const {
  if (*this == current()) return true;
  try {
    return *this == of_path("/proc/1/ns/net");  // husk may run in another one (ip netns exec)
  } catch (const Error&) {
    return false;  // husk runs in a container, and may not look into its process 1
  }
}

void refuse_the_hosts(const NetworkNamespace& ns) {
  if (ns.is_the_hosts())
    throw Error(Errc::unsupported,
                "network namespace " + ns.name() + ": is the host's, which a VM cannot join");
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
