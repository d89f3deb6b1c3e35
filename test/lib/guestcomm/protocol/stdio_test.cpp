// SPDX-License-Identifier: Apache-2.0
#include "lib/guestcomm/protocol/stdio.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <string>
#include <vector>

using namespace husk::guestcomm;
using nlohmann::json;

namespace {

Stdio<int> some_pipes(bool in, bool out, bool err) {
  Pipes<int> pipes;
  if (in) pipes.in = 10;
  if (out) pipes.out = 11;
  if (err) pipes.err = 12;
  return pipes;
}

}  // namespace

TEST_CASE("stdio: pipes come as they were sent, absent ones too", "[guestcomm]") {
  const bool in = GENERATE(true, false), out = GENERATE(true, false), err = GENERATE(true, false);
  const json text = json::parse(write_stdio(some_pipes(in, out, err)).dump());
  const auto read = read_stdio<int>(text);
  const auto& pipes = std::get<Pipes<int>>(read);
  CHECK(pipes.in == (in ? std::optional(10) : std::nullopt));
  CHECK(pipes.out == (out ? std::optional(11) : std::nullopt));
  CHECK(pipes.err == (err ? std::optional(12) : std::nullopt));
}

TEST_CASE("stdio: a terminal comes with its size", "[guestcomm]") {
  const Stdio<std::string> sent =
      Terminal<std::string>{.stream = "token", .size = {.rows = 65535, .columns = 0}};
  const auto read = read_stdio<std::string>(json::parse(write_stdio(sent).dump()));
  const auto& terminal = std::get<Terminal<std::string>>(read);
  CHECK(terminal.stream == "token");
  CHECK(terminal.size == WindowSize{.rows = 65535, .columns = 0});
}

TEST_CASE("stdio: the ends are visited and changed in one order", "[guestcomm]") {
  Stdio<int> stdio = some_pipes(true, true, true);
  std::vector<std::string> names;
  for_each_end(stdio, [&](const char* name, int) { names.emplace_back(name); });
  CHECK(names == std::vector<std::string>{"stdin", "stdout", "stderr"});
  std::vector<int> order;
  auto numbered = with_each_end(stdio, [&](int end) {
    order.push_back(end);
    return std::to_string(end);
  });
  CHECK(order == std::vector<int>{10, 11, 12});
  CHECK(std::get<Pipes<std::string>>(numbered).err == "12");
}

TEST_CASE("stdio: what is none throws", "[guestcomm]") {
  const json wrong =
      GENERATE(json::object(), json::array(), json(7), json{{"pipes", {{"stdin", "x"}}}},
               json{{"terminal", nullptr}}, json{{"terminal", {{"stream", 1}, {"rows", 2}}}},
               json{{"terminal", {{"stream", 1}, {"rows", "2"}, {"columns", 3}}}},
               json{{"terminal", {{"stream", json::array()}, {"rows", 2}, {"columns", 3}}}},
               json{{"terminal", {{"stream", 1}, {"rows", 65536}, {"columns", 3}}}},
               json{{"terminal", {{"stream", 1}, {"rows", 2}, {"columns", -1}}}},
               json{{"pipes", {{"stdin", true}}}}, json{{"pipes", {{"stdout", 1.5}}}},
               json{{"pipes", {{"stderr", INT64_MAX}}}}, json{{"pipes", {{"stdin", nullptr}}}});
  CAPTURE(wrong.dump());
  CHECK_THROWS_AS(read_stdio<int>(wrong), json::exception);
}
