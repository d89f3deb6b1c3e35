// SPDX-License-Identifier: Apache-2.0
#include "lib/guestcomm/link/privileged_port.hpp"

#include <cerrno>

#include "lib/base/error.hpp"

namespace husk::guestcomm {
namespace {
constexpr std::uint32_t half = first_unprivileged_port / 2;
}

std::uint32_t take_privileged_port(std::uint32_t start,
                                   const std::function<bool(std::uint32_t port)>& try_bind) {
  for (std::uint32_t n = 0; n < half; ++n) {
    const std::uint32_t port = half + (start + n) % half;
    if (try_bind(port)) return port;
  }
  // As rresvport(3) has it, the lower half is left to services with fixed ports if possible.
  for (std::uint32_t port = half - 1; port > 0; --port) {
    if (try_bind(port)) return port;
  }
  throw Error(Errc::system,
              "no vsock port below 1024 is free: this host cannot reach more containers",
              EADDRINUSE);
}

}  // namespace husk::guestcomm
