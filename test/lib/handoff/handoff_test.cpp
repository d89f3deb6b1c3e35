// SPDX-License-Identifier: Apache-2.0
#include "lib/handoff/handoff.hpp"

#include <sys/socket.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <chrono>
#include <string>
#include <vector>

#include "lib/base/descriptors.hpp"
#include "lib/base/error.hpp"

using namespace husk;
using namespace husk::handoff;
using namespace std::chrono_literals;
using Catch::Matchers::ContainsSubstring;
using guestcomm::Pipes;
using guestcomm::Stdio;
using guestcomm::Terminal;

namespace {

const Duty duty{.process = {"c1", "e1"}, .message_patience = 1234ms};

/// Whether what is written to one arrives at the other.
bool leads_to(int write_end, const UniqueFd& read_end) {
  char byte = 0;
  return ::write(write_end, "x", 1) == 1 && ::recv(read_end.get(), &byte, 1, MSG_DONTWAIT) == 1;
}

Errc code_of_receive(int socket) {
  try {
    receive(socket);
  } catch (const Error& e) {
    return e.code();
  } catch (const std::exception&) {
    return Errc::system;
  }
  return Errc::internal;
}

}  // namespace

TEST_CASE("handoff: the duty comes as it was sent", "[handoff]") {
  const SocketPair ends = make_socket_pair(), control = make_socket_pair();
  Duty sent = duty;
  sent.process.process = GENERATE("", "e1");
  handoff::send(ends.own.get(), sent, control.other.get(), Pipes<int>{});
  const Handoff received = receive(ends.other.get());
  CHECK(received.duty.process.container == "c1");
  CHECK(received.duty.process.process == sent.process.process);
  CHECK(received.duty.message_patience == 1234ms);
  CHECK(leads_to(received.control.get(), control.own));
  CHECK_FALSE(received.notify);
}

TEST_CASE("handoff: each stream comes in its place", "[handoff]") {
  const SocketPair ends = make_socket_pair(), control = make_socket_pair();
  const SocketPair in = make_socket_pair(), out = make_socket_pair(), err = make_socket_pair();
  const SocketPair notify = make_socket_pair();
  Pipes<int> sent;
  if (GENERATE(true, false)) sent.in = in.other.get();
  if (GENERATE(true, false)) sent.out = out.other.get();
  if (GENERATE(true, false)) sent.err = err.other.get();
  const bool has_notify = GENERATE(true, false);
  handoff::send(ends.own.get(), duty, control.other.get(), sent,
                has_notify ? notify.other.get() : -1);
  const Handoff received = receive(ends.other.get());
  const auto& pipes = std::get<Pipes<UniqueFd>>(received.stdio);
  CHECK(pipes.in.has_value() == sent.in.has_value());
  CHECK(pipes.out.has_value() == sent.out.has_value());
  CHECK(pipes.err.has_value() == sent.err.has_value());
  if (pipes.in) CHECK(leads_to(pipes.in->get(), in.own));
  if (pipes.out) CHECK(leads_to(pipes.out->get(), out.own));
  if (pipes.err) CHECK(leads_to(pipes.err->get(), err.own));
  CHECK(static_cast<bool>(received.notify) == has_notify);
  if (has_notify) CHECK(leads_to(received.notify.get(), notify.own));
}

TEST_CASE("handoff: a terminal comes with its size", "[handoff]") {
  const SocketPair ends = make_socket_pair(), control = make_socket_pair();
  const SocketPair stream = make_socket_pair();
  handoff::send(ends.own.get(), duty, control.other.get(),
                Terminal<int>{.stream = stream.other.get(), .size = {.rows = 24, .columns = 80}});
  const Handoff received = receive(ends.other.get());
  const auto& terminal = std::get<Terminal<UniqueFd>>(received.stdio);
  CHECK(leads_to(terminal.stream.get(), stream.own));
  CHECK(terminal.size == guestcomm::WindowSize{.rows = 24, .columns = 80});
}

TEST_CASE("handoff: the sender's descriptors stay open", "[handoff]") {
  const SocketPair ends = make_socket_pair(), control = make_socket_pair();
  handoff::send(ends.own.get(), duty, control.other.get(), Pipes<int>{});
  { const Handoff received = receive(ends.other.get()); }
  CHECK(leads_to(control.other.get(), control.own));
}

TEST_CASE("handoff: a husk that is gone is a lost peer", "[handoff]") {
  SocketPair ends = make_socket_pair();
  ends.own.reset();
  CHECK(code_of_receive(ends.other.get()) == Errc::peer_lost);
  CHECK_THROWS_WITH(handoff::send(ends.other.get(), duty, STDIN_FILENO, Pipes<int>{}),
                    ContainsSubstring("hand over to the shim: "));
}

TEST_CASE("handoff: a packet that would not fit is not sent", "[handoff]") {
  const SocketPair ends = make_socket_pair();
  Duty sent = duty;
  sent.process.process = std::string(5000, 'x');
  CHECK_THROWS_WITH(handoff::send(ends.own.get(), sent, ends.other.get(), Pipes<int>{}),
                    "hand-over to the shim is too large");
  char byte = 0;
  CHECK(::recv(ends.other.get(), &byte, 1, MSG_DONTWAIT) == -1);
}

TEST_CASE("handoff: what is no hand-over is refused", "[handoff]") {
  const SocketPair ends = make_socket_pair();
  const std::string process =
      R"("process": {"container": "c1", "process": ""}, "message_patience_ms": 5)";
  const auto [text, count] = GENERATE_COPY(table<std::string, std::size_t>(
      {{"x", 1},
       {"[]", 1},
       {"{}", 1},
       {"{}", 0},
       {"{" + process + "}", 1},
       {"{" + process + R"(, "stdio": 7})", 1},
       {"{" + process + R"(, "stdio": {"pipes": {"stdin": 1}}})", 1},
       {"{" + process + R"(, "stdio": {"pipes": {"stdin": 2}}})", 3},
       {"{" + process + R"(, "stdio": {"pipes": {"stdin": -1}}})", 2},
       {"{" + process + R"(, "stdio": {"terminal": {"stream": 1}}})", 2},
       {"{" + process + R"(, "stdio": {"pipes": {}}, "notify": 1})", 1},
       {"{" + process + R"(, "stdio": {"pipes": {}}, "notify": 0})", 2},
       {"{" + process + R"(, "stdio": {"pipes": {}}})", 2},
       {"{" + process + R"(, "stdio": {"pipes": {"stdin": true}}})", 2},
       {"{" + process + R"(, "stdio": {"pipes": {"stdin": 1.5}}})", 2},
       {"{" + process + R"(, "stdio": {"pipes": {}}, "notify": true})", 2},
       {R"({"process": {"container": "c1", "process": ""}, "message_patience_ms": 1.5,)"
        R"( "stdio": {"pipes": {}}})",
        1},
       {R"({"process": {"container": "c1", "process": ""}, "message_patience_ms": true,)"
        R"( "stdio": {"pipes": {}}})",
        1},
       {R"({"process": {"container": "c1", "process": ""},)"
        R"( "message_patience_ms": 18446744073709551615, "stdio": {"pipes": {}}})",
        1},
       {R"({"process": {"container": 7, "process": ""}, "message_patience_ms": 5,)"
        R"( "stdio": {"pipes": {}}})",
        1},
       {R"({"process": {"container": "c1", "process": ""}, "message_patience_ms": "5",)"
        R"( "stdio": {"pipes": {}}})",
        1}}));
  CAPTURE(text, count);
  send_with_descriptors(ends.own.get(), text, std::vector<int>(count, ends.own.get()));
  CHECK(code_of_receive(ends.other.get()) == Errc::invalid_argument);
}
