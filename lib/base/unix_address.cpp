// SPDX-License-Identifier: Apache-2.0
#include "lib/base/unix_address.hpp"

#include <sys/socket.h>

#include <algorithm>
#include <iterator>

#include "lib/base/error.hpp"

namespace husk {

sockaddr_un unix_address(const std::string& path) {
  sockaddr_un address{};
  if (path.size() >= std::size(address.sun_path)) {
    throw Error(Errc::invalid_argument, path + ": the path is too long for a socket (at most " +
                                            std::to_string(std::size(address.sun_path) - 1) +
                                            " bytes)");
  }
  address.sun_family = AF_UNIX;
  std::ranges::copy(path, std::begin(address.sun_path));
  return address;
}

}  // namespace husk
