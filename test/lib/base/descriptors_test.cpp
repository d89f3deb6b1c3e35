// SPDX-License-Identifier: Apache-2.0
#include "lib/base/descriptors.hpp"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <catch2/catch_test_macros.hpp>
#include <string>
#include <utility>

#include "lib/base/error.hpp"

using namespace husk;

TEST_CASE("make_pipe: what is written to one end is read from the other", "[base]") {
  Pipe pipe = make_pipe();
  CHECK((::fcntl(pipe.read_end.get(), F_GETFD) & FD_CLOEXEC) != 0);
  CHECK((::fcntl(pipe.write_end.get(), F_GETFD) & FD_CLOEXEC) != 0);
  REQUIRE(::write(pipe.write_end.get(), "xy", 2) == 2);
  pipe.write_end.reset();
  std::array<char, 8> bytes{};
  CHECK(::read(pipe.read_end.get(), bytes.data(), bytes.size()) == 2);
  CHECK(bytes[1] == 'y');
  CHECK(::read(pipe.read_end.get(), bytes.data(), bytes.size()) == 0);
}

TEST_CASE("make_socket_pair: carries whole messages both ways", "[base]") {
  SocketPair sockets = make_socket_pair();
  CHECK((::fcntl(sockets.own.get(), F_GETFD) & FD_CLOEXEC) != 0);
  CHECK((::fcntl(sockets.other.get(), F_GETFD) & FD_CLOEXEC) != 0);
  std::array<char, 8> bytes{};
  for (const auto& [from, to] :
       {std::pair{&sockets.own, &sockets.other}, {&sockets.other, &sockets.own}}) {
    REQUIRE(::send(from->get(), "ab", 2, 0) == 2);
    REQUIRE(::send(from->get(), "c", 1, 0) == 1);
    CHECK(::recv(to->get(), bytes.data(), bytes.size(), 0) == 2);
    CHECK(::recv(to->get(), bytes.data(), bytes.size(), 0) == 1);
  }
  sockets.other.reset();
  CHECK(::recv(sockets.own.get(), bytes.data(), bytes.size(), 0) == 0);
}

TEST_CASE("descriptors: arrive with their bytes, open, in order and close-on-exec", "[base]") {
  const SocketPair sockets = make_socket_pair();
  const auto [read_end, write_end] = make_pipe();
  send_with_descriptors(sockets.own.get(), "word", {write_end.get(), read_end.get()});
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
  SocketPair sockets = make_socket_pair();
  std::array<char, 16> buffer{};
  std::vector<UniqueFd> received;
  send_with_descriptors(sockets.own.get(), "a", {});
  CHECK(receive_with_descriptors(sockets.other.get(), buffer, received) == 1);
  CHECK(received.empty());
  CHECK_THROWS_AS(send_with_descriptors(sockets.own.get(), "a",
                                        std::vector<int>(max_passed_descriptors + 1, 0)),
                  Error);
  sockets.own.reset();
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
