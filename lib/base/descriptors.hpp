// SPDX-License-Identifier: Apache-2.0
// Open descriptors: making pairs of them, handing them to another process, and closing those that
// are not to be passed on.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>
#include <vector>

#include "lib/base/unique_fd.hpp"

namespace husk {

struct Pipe {
  UniqueFd read_end, write_end;
};
/// Close-on-exec. Throws system.
Pipe make_pipe();

struct SocketPair {
  UniqueFd own, other;  ///< the same; the names say who is to keep which
};
/// Unix sockets of whole messages with an end of file (SOCK_SEQPACKET), close-on-exec. Throws
/// system.
SocketPair make_socket_pair();

inline constexpr std::size_t max_passed_descriptors = 64;  ///< in one message

/// Closes every descriptor but 0, 1, 2 and `keep`. Throws system.
void close_other_descriptors(std::vector<int> keep);

/// One message of `bytes` (at least one) with the descriptors, which stay the caller's, over a
/// connected Unix socket (unix(7), SCM_RIGHTS). Throws system; internal for too many descriptors.
void send_with_descriptors(int socket, std::string_view bytes, const std::vector<int>& descriptors);

/// Receives one: returns how many bytes of `buffer` it filled, 0 at end of file, and adds the
/// descriptors (close-on-exec) to `descriptors`. Throws system.
std::size_t receive_with_descriptors(int socket, std::span<char> buffer,
                                     std::vector<UniqueFd>& descriptors);

}  // namespace husk
