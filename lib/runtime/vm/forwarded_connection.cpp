// SPDX-License-Identifier: Apache-2.0
#include "lib/runtime/vm/forwarded_connection.hpp"

#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <string_view>
#include <thread>

#include "lib/base/error.hpp"
#include "lib/base/files.hpp"
#include "lib/base/random_id.hpp"
#include "lib/guestcomm/protocol/vm_messages.hpp"
#include "lib/network/loopback_listener.hpp"
#include "lib/runtime/vm/vm_handle.hpp"

namespace husk::runtime {
namespace {

constexpr std::size_t forwarded_token_bytes = 16, chunk_bytes = 64 << 10;
/// The kubelet's own for a connection that it forwards (streamingConnectionIdleTimeout).
constexpr std::chrono::hours idle_limit{4};

/// A stream for each direction: not every vsock device can close a connection by halves.
struct GuestStreams {
  UniqueFd to_guest, from_guest;
};

/// The control connection ends before the streams carry anything: it would keep the VM alive.
GuestStreams connect_in_guest(const std::string& vm_id, std::uint16_t port) {
  const VmHandle vm = VmHandle::open(vm_id);
  const guestcomm::ConnectPort request{.port = port,
                                       .to_container = random_hex(forwarded_token_bytes),
                                       .from_container = random_hex(forwarded_token_bytes)};
  const guestcomm::Pipes<std::string> tokens{request.to_container, request.from_container, {}};
  auto opened = guestcomm::open_streams(vm.guest(), tokens, VmHandle::connect_patience);
  GuestStreams streams;
  guestcomm::for_each_end(opened, [&](std::string_view name, UniqueFd& end) {
    (name == "stdin" ? streams.to_guest : streams.from_guest) = std::move(end);
  });
  vm.connect(VmHandle::connect_patience).call(request, VmHandle::connect_patience);
  return streams;
}

/// Resets the connection, as a host on which nobody listens does: close() alone sends an end of file.
void reset(UniqueFd& connection) noexcept {
  const linger at_once{.l_onoff = 1, .l_linger = 0};
  ::setsockopt(connection.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  connection.reset();
}

/// When a byte was last carried, in either direction. Two threads have it.
class Activity {
 public:
  void note() noexcept { last_ = Clock::now().time_since_epoch().count(); }
  bool is_older_than(std::chrono::milliseconds limit) const noexcept {
    return Clock::now().time_since_epoch() - Clock::duration(last_) >= limit;
  }

 private:
  using Clock = std::chrono::steady_clock;
  std::atomic<Clock::rep> last_ = Clock::now().time_since_epoch().count();
};

/// A blocking read or write fails with EAGAIN after that time.
void limit_waits(int socket, std::chrono::milliseconds limit) {
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(limit);
  const timeval time{.tv_sec = seconds.count(),
                     .tv_usec = std::chrono::microseconds(limit - seconds).count()};
  for (const int option : {SO_RCVTIMEO, SO_SNDTIMEO})
    check_sys(::setsockopt(socket, SOL_SOCKET, option, &time, sizeof time),
              "limit a socket's waits");
}

/// Copies until one of them ends, or nothing was carried in either direction for the limit.
void copy(int from, int to, Activity& activity, std::chrono::milliseconds limit) noexcept {
  std::array<char, chunk_bytes> buffer;
  try {
    for (;;) {
      const ssize_t count = ::read(from, buffer.data(), buffer.size());
      const bool goes_on = count < 0 && errno == EAGAIN && !activity.is_older_than(limit);
      if (goes_on) continue;
      if (count <= 0) return;
      activity.note();
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
  carry_both_ways(std::move(client), std::move(streams.to_guest), std::move(streams.from_guest),
                  idle_limit);
}

void carry_both_ways(UniqueFd client, UniqueFd to_guest, UniqueFd from_guest,
                     std::chrono::milliseconds limit) {
  for (const UniqueFd* socket : {&client, &to_guest, &from_guest})
    limit_waits(socket->get(), limit);
  Activity activity;
  std::thread sender([&] {
    copy(client.get(), to_guest.get(), activity, limit);
    to_guest.reset();
  });
  copy(from_guest.get(), client.get(), activity, limit);
  ::shutdown(client.get(), SHUT_WR);
  sender.join();
}

}  // namespace husk::runtime
