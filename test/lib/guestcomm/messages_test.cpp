// SPDX-License-Identifier: Apache-2.0
#include "lib/guestcomm/messages.hpp"

#include <sys/socket.h>

#include <array>
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include "lib/base/files.hpp"
#include "lib/base/unique_fd.hpp"
#include "lib/guestcomm/frame.hpp"
#include "lib/oci/example.hpp"

using namespace husk;
using namespace husk::guestcomm;
using Catch::Matchers::ContainsSubstring;
using nlohmann::json;

TEST_CASE("FrameReader: gives whole frames however the bytes are cut", "[guestcomm]") {
  const std::string bytes =
      make_frame("first") + make_frame("") + make_frame(std::string(70000, 'x'));
  for (const std::size_t piece :
       {std::size_t{1}, std::size_t{3}, std::size_t{4096}, bytes.size()}) {
    CAPTURE(piece);
    FrameReader reader;
    std::vector<std::string> frames;
    for (std::size_t at = 0; at < bytes.size(); at += piece) {
      reader.append(std::string_view(bytes).substr(at, piece));
      while (auto frame = reader.next()) frames.push_back(*frame);
    }
    CHECK(frames == std::vector<std::string>{"first", "", std::string(70000, 'x')});
  }
}

TEST_CASE("FrameReader: a length over the limit is refused before its bytes come", "[guestcomm]") {
  FrameReader reader;
  reader.append(std::string_view("\xff\xff\xff\xff", 4));
  CHECK_THROWS_WITH(reader.next(), ContainsSubstring("over the limit"));
  CHECK_THROWS_AS(make_frame(std::string(max_frame_bytes + 1, 'x')), Error);
}

TEST_CASE("read_frame: an end between frames is an end, one inside is a loss", "[guestcomm]") {
  std::array<int, 2> ends{};
  REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM, 0, ends.data()) == 0);
  const UniqueFd here{ends[0]};
  UniqueFd there{ends[1]};
  write_frame(there.get(), "hello");
  CHECK(read_frame(here.get()) == "hello");
  SECTION("between") {
    there.reset();
    CHECK_FALSE(read_frame(here.get()));
  }
  SECTION("inside") {
    write_all(there.get(), make_frame("hello").substr(0, 6));
    there.reset();
    CHECK_THROWS_AS(read_frame(here.get()), Error);
  }
}

TEST_CASE("messages: what is encoded is decoded again", "[guestcomm]") {
  CreateContainer create{.id = "c1",
                         .spec = oci::example_spec(false, 0, 0),
                         .streams = {.stdin_token = {}, .stdout_token = "ab", .stderr_token = {}}};
  const Request request = decode_request(encode(Request{7, "create_container", create}));
  CHECK(request.id == 7);
  CHECK(request.method == "create_container");
  const auto back = request.params.get<CreateContainer>();
  CHECK(back.spec == create.spec);
  CHECK(back.streams.stdout_token == "ab");
  CHECK_FALSE(back.streams.stdin_token);
}

TEST_CASE("messages: an error keeps its code, text and errno", "[guestcomm]") {
  const Response back = decode_response(
      encode(Response{3, {}, Error(Errc::wrong_state, "container not running", 5)}));
  REQUIRE(back.error);
  CHECK(back.id == 3);
  CHECK(back.error->code() == Errc::wrong_state);
  CHECK(back.error->sys_errno() == 5);
  CHECK(std::string(back.error->what()) == "container not running");
}

TEST_CASE("messages: a text that is not UTF-8 still arrives", "[guestcomm]") {
  const Response back =
      decode_response(encode(Response{3, {}, Error(Errc::internal, "exec \xff\xfe")}));
  REQUIRE(back.error);
  CHECK_THAT(back.error->what(), ContainsSubstring("exec "));
}

TEST_CASE("messages: everything malformed is refused as that, never otherwise", "[guestcomm]") {
  for (const char* text :
       {"", "null", "[]", "{}", "{\"method\":1}", "{\"method\":\"x\",\"id\":\"1\"}",
        "{\"method\":\"x\",\"id\":1.5}", "\xff", "{"}) {
    CAPTURE(text);
    CHECK_THROWS_AS(decode_request(text), Error);
  }
  for (const char* text : {"{}", "{\"id\":1}", "{\"id\":\"1\",\"result\":{}}",
                           "{\"id\":1,\"error\":{}}", "{\"id\":1,\"error\":{\"code\":1}}",
                           "{\"id\":1,\"error\":{\"code\":\"1\",\"message\":\"\"}}"}) {
    CAPTURE(text);
    CHECK_THROWS_AS(decode_response(text), Error);
  }
  CHECK_THROWS_AS(json::parse(R"({"id":"x","status":256})").get<ContainerExited>(), Error);
  CHECK_THROWS_AS(json::parse(R"({"id":"x","status":-1})").get<ContainerExited>(), Error);
  CHECK_THROWS_AS(json::parse(R"({"id":1,"status":0})").get<ContainerExited>(), Error);
  CHECK_THROWS_AS(
      json::parse(R"({"id":"x","signal":4294967296,"all":true})").get<SignalContainer>(), Error);
  CHECK_THROWS_AS(json::parse(R"({"id":"x","signal":9,"all":1})").get<SignalContainer>(), Error);
}
