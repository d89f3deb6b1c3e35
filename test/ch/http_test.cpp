// SPDX-License-Identifier: Apache-2.0
#include "ch/http.hpp"

#include <sys/socket.h>

#include <array>
#include <catch2/catch_test_macros.hpp>
#include <thread>

#include "lib/base/descriptors.hpp"
#include "lib/base/unique_fd.hpp"

using namespace husk;
using namespace husk::ch;
using namespace std::chrono_literals;

namespace {

struct Wire {
  UniqueFd near, far;
  Wire() {
    std::array<int, 2> ends{};
    check_sys(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()), "socketpair");
    near = UniqueFd{ends[0]};
    far = UniqueFd{ends[1]};
    const int bytes = 1 << 20;  // so that a whole body fits
    check_sys(::setsockopt(far.get(), SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof bytes), "buffer");
  }
};

std::string request_text(const std::string& line, const std::string& headers,
                         const std::string& body) {
  return line + "\r\nHost: localhost\r\n" + headers +
         "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

const std::string put_create = "PUT /api/v1/vm.create HTTP/1.1";

/// "STATUS TEXT" of the refusal.
std::string refusal_of(const std::string& sent, bool and_closes = false,
                       std::chrono::milliseconds patience = 5s) {
  Wire wire;
  send_before(wire.far.get(), sent, Deadline(5s));
  if (and_closes) wire.far.reset();
  try {
    receive_vm_create(wire.near.get(), Deadline(patience));
  } catch (const Refusal& e) {
    return std::to_string(e.status()) + " " + e.what();
  }
  return "no refusal";
}

std::string answer_error(const std::string& sent, int gone_fd = -1) {
  Wire wire;
  send_before(wire.far.get(), sent, Deadline(5s));
  if (gone_fd < 0) wire.far.reset();
  try {
    receive_answer(wire.near.get(), gone_fd, Deadline(200ms));
  } catch (const Error& e) {
    return e.what();
  }
  return "no error";
}

}  // namespace

TEST_CASE("request: a whole one gives its body, however it is cut") {
  const std::string body(100000, 'b');
  Wire wire;
  send_before(wire.far.get(), request_text(put_create, "", body), Deadline(5s));
  CHECK(receive_vm_create(wire.near.get(), Deadline(5s)) == body);

  Wire slow;
  std::thread peer([&] {
    for (const char c : request_text(put_create, "X-A: b\r\n", "{\"a\": 1}"))
      send_before(slow.far.get(), std::string(1, c), Deadline(5s));
  });
  CHECK(receive_vm_create(slow.near.get(), Deadline(5s)) == "{\"a\": 1}");
  peer.join();
}

TEST_CASE("request: chunks are put together, and count against the limit") {
  const std::string head = put_create + "\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n";
  Wire wire;
  send_before(wire.far.get(), head + "2\r\nab\r\n1\r\nc\r\n0\r\n\r\n", Deadline(5s));
  CHECK(receive_vm_create(wire.near.get(), Deadline(5s)) == "abc");
  CHECK(refusal_of(head + "50000\r\n" + std::string(0x50000, 'x') + "\r\n0\r\n\r\n")
            .starts_with("413 "));
}

TEST_CASE("request: who expects it is told to go on before the body") {
  Wire wire;
  std::thread peer([&] {
    send_before(wire.far.get(),
                put_create + "\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n", Deadline(5s));
    const std::string expected = "HTTP/1.1 100 Continue\r\n\r\n";
    if (receive_before(wire.far.get(), expected.size(), Deadline(5s)) == expected)
      send_before(wire.far.get(), "{}", Deadline(5s));
  });
  CHECK(receive_vm_create(wire.near.get(), Deadline(5s)) == "{}");
  peer.join();
}

TEST_CASE("request: any other one is refused before its body") {
  const std::string length = "\r\nContent-Length: 200000\r\n\r\n";
  CHECK(refusal_of("PUT /api/v1/vm.boot HTTP/1.1\r\n\r\n") ==
        "404 request: the first request has to be /api/v1/vm.create, not \"/api/v1/vm.boot\"");
  CHECK(refusal_of("PUT /api/v1/vm.create/ HTTP/1.1" + length).starts_with("404 "));
  CHECK(refusal_of("GET /api/v1/vm.create HTTP/1.1\r\n\r\n") ==
        "400 request: the method has to be PUT, not \"GET\"");
}

TEST_CASE("request: one that is cut off is refused") {
  CHECK(refusal_of("", true) == "400 request: closed the connection");
  CHECK(refusal_of(put_create, true) == "400 request: closed the connection");
  CHECK(refusal_of(put_create + "\r\nContent-Length: 10\r\n\r\n{", true) ==
        "400 request: closed the connection");
}

TEST_CASE(
    "request: one that does not come, or comes byte by byte for ever, ends with the deadline") {
  CHECK(refusal_of("", false, 50ms) == "408 request: not complete in time");
  CHECK(refusal_of(put_create + "\r\nContent-Length: 10\r\n\r\n{", false, 50ms) ==
        "408 request: not complete in time");
  Wire wire;
  std::jthread drip([&](const std::stop_token& stop) {
    send_before(wire.far.get(), put_create + "\r\nX: ", Deadline(5s));
    while (!stop.stop_requested()) {
      send_before(wire.far.get(), "x", Deadline(5s));
      std::this_thread::sleep_for(5ms);
    }
  });
  const Deadline limit(5s);
  CHECK_THROWS_AS(receive_vm_create(wire.near.get(), Deadline(100ms)), Refusal);
  CHECK_FALSE(limit.passed());
}

TEST_CASE("request: what is too large is refused by its limit") {
  CHECK(refusal_of(put_create + "\r\nX: " + std::string(10000, 'x')) ==
        "431 request: headers of more than 8192 bytes");
  CHECK(refusal_of(put_create + "\r\nContent-Length: 262145\r\n\r\n") ==
        "413 request: a body of more than 262144 bytes");
  CHECK(
      refusal_of(put_create + "\r\nContent-Length: 99999999999999999999\r\n\r\n").starts_with("4"));
}

TEST_CASE("request: garbage is refused") {
  CHECK(refusal_of("\x16\x03\x01 garbage\r\n\r\n").starts_with("400 request: not HTTP: "));
  CHECK(refusal_of(put_create + "\r\nContent-Length: -1\r\n\r\n")
            .starts_with("400 request: not HTTP: "));
  CHECK(refusal_of(request_text(put_create, "", "{}") + "PUT /") ==
        "400 request: more bytes than one request has");
}

TEST_CASE("answer: Cloud Hypervisor's are read, with content and without") {
  Wire wire;
  send_before(wire.far.get(),
              "HTTP/1.1 204 \r\nServer: Cloud Hypervisor API\r\nConnection: keep-alive\r\n\r\n",
              Deadline(5s));
  const Answer empty = receive_answer(wire.near.get(), -1, Deadline(5s));
  CHECK(empty.status == 204);
  CHECK(empty.body.empty());
  send_before(wire.far.get(),
              "HTTP/1.1 500 Internal Server Error\r\nContent-Length: 5\r\n\r\n[\"a\"]",
              Deadline(5s));
  const Answer error = receive_answer(wire.near.get(), -1, Deadline(5s));
  CHECK(error.status == 500);
  CHECK(error.body == "[\"a\"]");
}

TEST_CASE("answer: what is none is named") {
  CHECK(answer_error("") == "answer: closed the connection");
  CHECK(answer_error("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n[") ==
        "answer: closed the connection");
  CHECK(answer_error("SSH-2.0\r\n\r\n").starts_with("answer: not HTTP: "));
  CHECK(answer_error("HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n") ==
        "answer: a body of more than 262144 bytes");
  // A process that has ended, while somebody else still has its end of the connection.
  Pipe gone = make_pipe();
  gone.write_end.reset();
  CHECK(answer_error("", gone.read_end.get()) == "answer: closed the connection");
}

TEST_CASE("answer: libvirt's closes its connection, and has a length unless it has no content") {
  CHECK(to_text({.status = 204, .body = ""}) ==
        "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n");
  CHECK(
      to_text(error_answer(500, "a \"b\" \xff")) ==
      "HTTP/1.1 500 Internal Server Error\r\nConnection: close\r\n"
      "Content-Type: application/json\r\nContent-Length: 15\r\n\r\n[\"a \\\"b\\\" \xef\xbf\xbd\"]");
}
