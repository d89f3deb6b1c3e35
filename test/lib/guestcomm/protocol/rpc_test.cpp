// SPDX-License-Identifier: Apache-2.0
// The envelopes, byte by byte: a VM that was started by another release reads and writes the same.
#include "lib/guestcomm/protocol/rpc.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <climits>
#include <functional>

#include "lib/guestcomm/protocol/process_messages.hpp"

using namespace husk;
using namespace husk::guestcomm;
using Catch::Matchers::ContainsSubstring;
using nlohmann::json;

namespace {

Error error_in(const std::string& payload) {
  const Response response = decode_response(payload);
  REQUIRE(std::holds_alternative<Error>(response.outcome));
  return std::get<Error>(response.outcome);
}

std::string refusal_of(const std::function<void()>& reading) {
  try {
    reading();
  } catch (const Error& error) {
    CHECK(error.code() == Errc::invalid_argument);
    return error.what();
  }
  return "nothing was thrown";
}

}  // namespace

TEST_CASE("rpc: what goes over the wire", "[guestcomm]") {
  const StartProcess start{{"c1", "p1"}};
  CHECK(encode(make_request(7, start)) == R"({"id":7,"jsonrpc":"2.0","method":"start_process",)"
                                          R"("params":{"container":"c1","process":"p1"}})");
  CHECK(encode(make_notification(ProcessExited{{"c1", ""}, 137})) ==
        R"({"jsonrpc":"2.0","method":"process_exited",)"
        R"("params":{"container":"c1","process":"","status":137}})");
  CHECK(encode(Response{7, json::object()}) == R"({"id":7,"jsonrpc":"2.0","result":{}})");
  CHECK(encode(Response{7, Error(Errc::system, "open /x", 13)}) ==
        R"({"error":{"code":8,"data":{"errno":13},"message":"open /x"},"id":7,"jsonrpc":"2.0"})");
}

TEST_CASE("rpc: a request is told from its answer", "[guestcomm]") {
  CHECK(is_request(encode(make_request(1, StartProcess{}))));
  CHECK(is_request(encode(make_notification(SdNotify{}))));
  CHECK_FALSE(is_request(encode(Response{1, json{{"method", "x"}}})));
  for (const char* other : {"[]", "7", "null", "\"method\"", R"(["method"])", "{}"})
    CHECK_FALSE(is_request(other));
}

TEST_CASE("rpc: a notification has no id, and a request without parameters has null",
          "[guestcomm]") {
  const Request request = decode_request(R"({"method":"x"})");
  CHECK_FALSE(request.id);
  CHECK(request.method == "x");
  CHECK(request.params.is_null());
  CHECK_FALSE(request.is<StartProcess>());
  // Any content of params is the business of who reads the message.
  CHECK(decode_request(R"({"method":"x","params":[1,{"a":null}]})").params ==
        json::parse(R"([1,{"a":null}])"));
}

TEST_CASE("rpc: the whole range of ids is kept, and nothing beyond is", "[guestcomm]") {
  for (const std::int64_t id : {std::int64_t{0}, std::int64_t{-1}, INT64_MAX, INT64_MIN}) {
    CAPTURE(id);
    CHECK(decode_request(encode(make_request(id, StartProcess{}))).id == id);
    CHECK(decode_response(encode(Response{id, json()})).id == id);
  }
  // One above INT64_MAX would be the id of another request.
  const std::string id =
      GENERATE(as<std::string>{}, "9223372036854775808", "18446744073709551615",
               "18446744073709551616", "1.0", "1e3", "null", "\"1\"", "[1]", "true");
  CAPTURE(id);
  CHECK_THAT(refusal_of([&] { decode_request(R"({"method":"x","id":)" + id + "}"); }),
             ContainsSubstring("malformed message: id is "));
  CHECK_THAT(refusal_of([&] { decode_response(R"({"result":{},"id":)" + id + "}"); }),
             ContainsSubstring("malformed message: id is "));
}

TEST_CASE("rpc: every code of an error arrives, and an unknown one is an internal error",
          "[guestcomm]") {
  for (int code = static_cast<int>(Errc::internal); code <= static_cast<int>(Errc::peer_lost);
       ++code)
    CHECK(error_in(encode(Response{1, Error(static_cast<Errc>(code), "x")})).code() ==
          static_cast<Errc>(code));
  for (const int code : {0, -1, static_cast<int>(Errc::peer_lost) + 1, INT_MAX, INT_MIN}) {
    CAPTURE(code);
    CHECK(error_in(R"({"id":1,"error":{"message":"x","code":)" + std::to_string(code) + "}}")
              .code() == Errc::internal);
  }
}

TEST_CASE("rpc: an error without an errno has none", "[guestcomm]") {
  for (const char* rest : {"", R"(,"data":null)", R"(,"data":7)", R"(,"data":["errno"])"}) {
    CAPTURE(rest);
    const std::string error = std::string(R"({"code":8,"message":"x")") + rest + "}";
    CHECK(error_in(R"({"id":1,"error":)" + error + "}").sys_errno() == 0);
  }
}

TEST_CASE("rpc: a malformed error is refused by its field", "[guestcomm]") {
  const auto [error, text] = GENERATE(table<std::string, std::string>(
      {{"null", "code is missing"},
       {"[]", "code is missing"},
       {R"({"message":"x"})", "code is missing"},
       {R"({"code":1.5,"message":"x"})", "code is not an integer"},
       {R"({"code":4294967297,"message":"x"})", "code is out of range"},
       {R"({"code":18446744073709551615,"message":"x"})", "code is out of range"},
       {R"({"code":1})", "message is missing"},
       {R"({"code":1,"message":null})", "message is not a string"},
       {R"({"code":1,"message":"x","data":{}})", "errno is missing"},
       {R"({"code":1,"message":"x","data":{"errno":"2"}})", "errno is not an integer"},
       {R"({"code":1,"message":"x","data":{"errno":2147483648}})", "errno is out of range"}}));
  CAPTURE(error);
  CHECK(refusal_of([&, &shown = error] { decode_response(R"({"id":1,"error":)" + shown + "}"); }) ==
        "malformed message: " + text);
}

TEST_CASE("rpc: an answer that is both is the error", "[guestcomm]") {
  const std::string error = R"({"code":3,"message":"x"})";
  CHECK(error_in(R"({"id":1,"result":{},"error":)" + error + "}").code() == Errc::not_found);
  CHECK(refusal_of([] { decode_response(R"({"id":1})"); }) ==
        "malformed message: result is missing");
}

TEST_CASE("rpc: an error's text is cut, and cannot steer a terminal", "[guestcomm]") {
  const std::string text = std::string("a\x1b[2J\nb\x7f") + std::string(5000, 'x');
  const std::string received = error_in(encode(Response{1, Error(Errc::system, text)})).what();
  CHECK(received.starts_with("a?[2J?b?xxx"));
  CHECK(received.size() == 4096);
}

TEST_CASE("rpc: a payload nests as deep as a configuration at most, and says each field once",
          "[guestcomm]") {
  const auto nested = [](std::size_t levels) {
    return R"({"method":"x","params":)" + std::string(levels, '[') + std::string(levels, ']') + "}";
  };
  CHECK_NOTHROW(decode_request(nested(63)));
  const std::string too_deep = "message: nested deeper than 64 levels";
  CHECK(refusal_of([&] { decode_request(nested(64)); }) == too_deep);
  CHECK(refusal_of([&] { decode_response(nested(100'000)); }) == too_deep);
  CHECK(refusal_of([&] { is_request(nested(100'000)); }) == too_deep);
  CHECK(refusal_of([] { decode_request(R"({"method":"x","method":"y"})"); }) ==
        R"(message: field "method" is given twice)");
  CHECK_THAT(refusal_of([] { decode_request(std::string("{\"method\":\"x\"}\0{}", 17)); }),
             ContainsSubstring("NUL byte"));
}

TEST_CASE("rpc: bytes that are not UTF-8 are replaced on the way", "[guestcomm]") {
  const SdNotify sent{"STATUS=\xff\xfe"};
  const auto received = decode_request(encode(make_notification(sent))).params.get<SdNotify>();
  CHECK(received.text == "STATUS=\xef\xbf\xbd\xef\xbf\xbd");
}
