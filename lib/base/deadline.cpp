// SPDX-License-Identifier: Apache-2.0
#include "lib/base/deadline.hpp"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <climits>

#include "lib/base/cancellation.hpp"
#include "lib/base/error.hpp"
#include "lib/base/text.hpp"

namespace husk {

int Deadline::poll_timeout() const {
  const auto left =
      std::chrono::ceil<std::chrono::milliseconds>(end_ - std::chrono::steady_clock::now());
  return static_cast<int>(std::clamp<long long>(left.count(), 0, INT_MAX));
}

Readiness await(int fd, short events, int gone_fd, const Deadline& deadline) {
  for (;;) {
    std::array<pollfd, 3> polled{
        {{fd, events, 0}, {gone_fd, POLLIN, 0}, {cancellation_fd(), POLLIN, 0}}};
    const int count = ::poll(polled.data(), polled.size(), deadline.poll_timeout());
    throw_if_cancelled();
    if (count < 0 && errno != EINTR) throw_errno("wait for a socket");
    // The socket first: what the peer said before its end still counts.
    if (count > 0) return polled[0].revents != 0 ? Readiness::ready : Readiness::gone;
    if (count == 0 || deadline.passed()) return Readiness::timed_out;
  }
}

std::string read_line(int fd, std::size_t max_bytes, int gone_fd, const Deadline& deadline,
                      const std::string& peer) {
  std::string line;
  for (;;) {
    char byte = 0;
    const ssize_t got = ::recv(fd, &byte, 1, 0);
    if (got == 0) throw Error(Errc::peer_lost, peer + ": closed the connection");
    if (got == 1) {
      if (byte == '\n') return line;
      if (line.size() == max_bytes)
        throw Error(Errc::invalid_argument, peer + ": line too long: " + quote(line));
      line.push_back(byte);
    } else if (errno == EAGAIN) {
      const Readiness readiness = await(fd, POLLIN, gone_fd, deadline);
      if (readiness == Readiness::gone)
        throw Error(Errc::peer_lost, peer + ": the virtual machine ended");
      if (readiness == Readiness::timed_out)
        throw Error(Errc::timed_out, peer + ": no answer in time");
    } else if (errno != EINTR) {
      throw Error(Errc::peer_lost, peer + ": " + errno_text(errno), errno);
    }
    // A peer that sends a byte now and then must not stretch the time.
    if (deadline.passed()) throw Error(Errc::timed_out, peer + ": no answer in time");
  }
}

namespace {

/// Waits until a call on a socket that failed with `error` is worth another try.
void await_retry(int socket, short events, int error, const Deadline& deadline) {
  if (error != EAGAIN && error != EINTR) {
    throw Error(Errc::peer_lost, errno_text(error), error);
  }
  if (await(socket, events, -1, deadline) == Readiness::timed_out) {
    throw Error(Errc::timed_out, "no answer in time");
  }
}

/// Progress is not enough: a drip would be progress for ever.
void check_not_passed(const Deadline& deadline) {
  if (deadline.passed()) throw Error(Errc::timed_out, "no answer in time");
}

}  // namespace

void send_before(int socket, std::string_view data, const Deadline& deadline) {
  while (!data.empty()) {
    check_not_passed(deadline);
    const ssize_t sent = ::send(socket, data.data(), data.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent < 0) {
      await_retry(socket, POLLOUT, errno, deadline);
    } else {
      data.remove_prefix(static_cast<std::size_t>(sent));
    }
  }
}

std::string receive_before(int socket, std::size_t size, const Deadline& deadline) {
  std::string received;
  std::array<char, 4096> chunk{};  // memory grows with what comes, not with what is announced
  while (received.size() < size) {
    check_not_passed(deadline);
    const std::size_t wanted = std::min(chunk.size(), size - received.size());
    const ssize_t got = ::recv(socket, chunk.data(), wanted, MSG_DONTWAIT);
    if (got == 0) break;
    if (got < 0) {
      await_retry(socket, POLLIN, errno, deadline);
    } else {
      received.append(chunk.data(), static_cast<std::size_t>(got));
    }
  }
  return received;
}

}  // namespace husk
