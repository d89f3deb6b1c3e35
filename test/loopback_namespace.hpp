// SPDX-License-Identifier: Apache-2.0
// For tests: a network namespace with nothing but a loopback that is up.
#pragma once

#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <exception>
#include <functional>
#include <thread>

#include "lib/base/error.hpp"
#include "lib/base/unique_fd.hpp"

namespace husk::test {

inline void enter_loopback_namespace() {
  check_sys(::unshare(CLONE_NEWNET), "unshare the network");
  const UniqueFd socket{check_sys(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), "socket")};
  ifreq request{.ifr_ifrn = {"lo"}, .ifr_ifru = {}};
  request.ifr_flags = IFF_UP | IFF_RUNNING;
  check_sys(::ioctl(socket.get(), SIOCSIFFLAGS, &request), "bring lo up");
}

/// Runs `body` in one, by a thread of its own; what it throws comes out.
inline void in_loopback_namespace(const std::function<void()>& body) {
  std::exception_ptr failure;
  std::thread([&] {
    try {
      enter_loopback_namespace();
      body();
    } catch (...) {
      failure = std::current_exception();
    }
  }).join();
  if (failure) std::rethrow_exception(failure);
}

}  // namespace husk::test
