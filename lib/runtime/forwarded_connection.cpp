// SPDX-License-Identifier: Apache-2.0
#include "lib/runtime/forwarded_connection.hpp"

#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <csignal>
#include <string_view>
#include <thread>

#include "lib/base/error.hpp"
#include "lib/base/files.hpp"
#include "lib/base/random_id.hpp"
#include "lib/network/loopback_listener.hpp"
#include "lib/runtime/sandbox.hpp"

namespace husk::runtime {
namespace {

constexpr std::size_t token_bytes = 16, chunk_bytes = 64 << 10;

/// One for each direction: not every vsock device can close a connection by halves.
struct GuestStreams {
  UniqueFd to_guest, from_guest;
};

/// The control connection ends before the streams carry anything: it would keep the VM alive.
GuestStreams connect_in_guest(const std::string& vm_id, std::uint16_t port) {
  const Sandbox sandbox = Sandbox::open(vm_id);
  const guestcomm::ConnectPort request{.port = port,
                                       .to_container = random_hex(token_bytes),
                                       .from_container = random_hex(token_bytes)};
  const guestcomm::Pipes<std::string> tokens{request.to_container, request.from_container, {}};
  auto opened = guestcomm::open_streams(sandbox.guest(), tokens, Sandbox::connect_patience);
  GuestStreams streams;
  guestcomm::for_each_end(opened, [&](std::string_view name, UniqueFd& end) {
    (name == "stdin" ? streams.to_guest : streams.from_guest) = std::move(end);
  });
  sandbox.connect(Sandbox::connect_patience).connect_port(request);
  return streams;
}

/// As a host on which nobody listens would: close() alone sends an end of file.
void reset(UniqueFd& connection) noexcept {
  const linger at_once{.l_onoff = 1, .l_linger = 0};
  ::setsockopt(connection.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  connection.reset();
}

/// Until one of them ends.
void copy(int from, int to) noexcept {
  std::array<char, chunk_bytes> buffer;
  try {
    for (;;) {
      const ssize_t count = ::read(from, buffer.data(), buffer.size());
      if (count <= 0) return;
      write_all(to, std::string_view(buffer.data(), static_cast<std::size_t>(count)));
    }
  } catch (const Error&) {
    return;  // nobody reads any more
  }
}

}  // namespace

void forward_connection(const std::string& vm_id, UniqueFd client) {
  ::prctl(PR_SET_NAME, "husk-forward", 0, 0, 0);
  ::signal(SIGPIPE, SIG_IGN);
  GuestStreams streams;
  try {
    streams = connect_in_guest(vm_id, network::wanted_port(client.get()));
  } catch (const Error&) {
    reset(client);
    throw;
  }
  std::thread sender([&] {
    copy(client.get(), streams.to_guest.get());
    streams.to_guest.reset();
  });
  copy(streams.from_guest.get(), client.get());
  ::shutdown(client.get(), SHUT_WR);
  sender.join();
}

}  // namespace husk::runtime
