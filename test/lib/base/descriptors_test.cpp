// SPDX-License-Identifier: Apache-2.0
#include "lib/base/descriptors.hpp"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <catch2/catch_test_macros.hpp>
#include <string>

#include "lib/base/error.hpp"

using namespace husk;

namespace {
struct Sockets {
  Sockets() {
    std::array<int, 2> made{};
    REQUIRE(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, made.data()) == 0);
    one.reset(made[0]);
    other.reset(made[1]);
  }
  UniqueFd one, other;
};
}  // namespace

TEST_CASE("descriptors: arrive with their bytes, open, in order and close-on-exec", "[base]") {
  const Sockets sockets;
  std::array<int, 2> pipe{};
  REQUIRE(::pipe(pipe.data()) == 0);
  const UniqueFd read_end{pipe[0]}, write_end{pipe[1]};
  send_with_descriptors(sockets.one.get(), "word", {write_end.get(), read_end.get()});
  std::array<char, 16> buffer{};
  std::vector<UniqueFd> received;
  REQUIRE(receive_with_descriptors(sockets.other.get(), buffer, received) == 4);
  CHECK(std::string(buffer.data(), 4) == "word");
  REQUIRE(received.size() == 2);
  CHECK((::fcntl(received[0].get(), F_GETFD) & FD_CLOEXEC) != 0);
  REQUIRE(::write(received[0].get(), "x", 1) == 1);
  char byte = 0;
  CHECK(::read(received[1].get(), &byte, 1) == 1);
  CHECK(byte == 'x');
}

TEST_CASE("descriptors: none, the end of the other side, and too many", "[base]") {
  Sockets sockets;
  std::array<char, 16> buffer{};
  std::vector<UniqueFd> received;
  send_with_descriptors(sockets.one.get(), "a", {});
  CHECK(receive_with_descriptors(sockets.other.get(), buffer, received) == 1);
  CHECK(received.empty());
  CHECK_THROWS_AS(send_with_descriptors(sockets.one.get(), "a",
                                        std::vector<int>(max_passed_descriptors + 1, 0)),
                  Error);
  sockets.one.reset();
  CHECK(receive_with_descriptors(sockets.other.get(), buffer, received) == 0);
  CHECK_THROWS_AS(send_with_descriptors(sockets.other.get(), "a", {}), Error);
}

TEST_CASE("close_other_descriptors: keeps the standard streams and what it is told", "[base]") {
  const pid_t child = ::fork();
  if (child == 0) {
    const int kept = ::fcntl(0, F_DUPFD, 40), closed = ::fcntl(0, F_DUPFD, 30),
              above = ::fcntl(0, F_DUPFD, 50);
    close_other_descriptors({kept});
    const auto is_open = [](int fd) { return ::fcntl(fd, F_GETFD) >= 0; };
    ::_exit(is_open(0) && is_open(2) && is_open(kept) && !is_open(closed) && !is_open(above) ? 0
                                                                                             : 1);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  CHECK((WIFEXITED(status) && WEXITSTATUS(status) == 0));
}
