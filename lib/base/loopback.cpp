// SPDX-License-Identifier: Apache-2.0
#include "lib/base/loopback.hpp"

#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <string_view>

#include "lib/base/error.hpp"
#include "lib/base/unique_fd.hpp"

namespace husk {

void bring_loopback_up() {
  const UniqueFd socket{check_sys(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), "socket")};
  ifreq request{};
  std::string_view("lo").copy(request.ifr_name, sizeof request.ifr_name - 1);
  request.ifr_flags = IFF_UP;
  check_sys(::ioctl(socket.get(), SIOCSIFFLAGS, &request), "bring up lo");
}

}  // namespace husk
