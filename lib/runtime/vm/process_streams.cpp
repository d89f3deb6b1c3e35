// SPDX-License-Identifier: Apache-2.0
#include "lib/runtime/vm/process_streams.hpp"

#include "lib/base/random_id.hpp"
#include "lib/runtime/vm/vm_handle.hpp"

namespace husk::runtime {
namespace {

constexpr std::size_t token_bytes = 16;

guestcomm::StreamTokens make_tokens(const std::optional<guestcomm::WindowSize>& terminal) {
  if (terminal) return guestcomm::Terminal<std::string>{random_hex(token_bytes), *terminal};
  return guestcomm::Pipes<std::string>{random_hex(token_bytes), random_hex(token_bytes),
                                       random_hex(token_bytes)};
}

}  // namespace

guestcomm::Stdio<int> ProcessStreams::descriptors() {
  return guestcomm::with_each_end(sockets, [](const UniqueFd& socket) { return socket.get(); });
}

ProcessStreams open_streams(const guestcomm::GuestAccess& guest,
                            const std::optional<guestcomm::WindowSize>& terminal) {
  ProcessStreams streams{make_tokens(terminal), {}};
  streams.sockets = guestcomm::open_streams(guest, streams.tokens, VmHandle::connect_patience);
  return streams;
}

}  // namespace husk::runtime
