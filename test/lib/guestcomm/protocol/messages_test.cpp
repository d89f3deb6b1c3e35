// SPDX-License-Identifier: Apache-2.0
#include "lib/guestcomm/protocol/rpc.hpp"

#include <sys/socket.h>

#include <array>
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include "lib/base/files.hpp"
#include "lib/base/unique_fd.hpp"
#include "lib/guestcomm/protocol/clock.hpp"
#include "lib/guestcomm/protocol/container_messages.hpp"
#include "lib/guestcomm/protocol/create_messages.hpp"
#include "lib/guestcomm/protocol/dns.hpp"
#include "lib/guestcomm/protocol/frame.hpp"
#include "lib/guestcomm/protocol/network.hpp"
#include "lib/guestcomm/protocol/process_list.hpp"
#include "lib/guestcomm/protocol/process_messages.hpp"
#include "lib/guestcomm/protocol/statistics.hpp"
#include "lib/guestcomm/protocol/vm_messages.hpp"
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
                         .stdio = Pipes<std::string>{{}, "ab", {}}};
  const Request request = decode_request(encode(make_request(7, create)));
  CHECK(request.id == 7);
  CHECK(request.is<CreateContainer>());
  const auto back = request.params.get<CreateContainer>();
  CHECK(back.spec == create.spec);
  const auto pipes = std::get<Pipes<std::string>>(back.stdio);
  CHECK(pipes.out == "ab");
  CHECK_FALSE(pipes.in);
  CHECK_FALSE(pipes.err);
  create.stdio = Terminal<std::string>{"cd", {24, 80}};
  const auto terminal = std::get<Terminal<std::string>>(json(create).get<CreateContainer>().stdio);
  CHECK(terminal.stream == "cd");
  CHECK(terminal.size == WindowSize{24, 80});
}

TEST_CASE("messages: requests keep their names, by which a VM of an older release knows them",
          "[guestcomm]") {
  CHECK(std::vector<std::string_view>{Hello::method, ConnectPort::method, TakeTrace::method,
                                      ReadClock::method, CorrectClock::method} ==
        std::vector<std::string_view>{"hello", "connect_port", "trace", "read_clock",
                                      "correct_clock"});
  CHECK(std::vector<std::string_view>{CreateContainer::method, CreateProcess::method,
                                      PauseContainer::method, ResumeContainer::method,
                                      UpdateContainer::method, DeleteContainer::method} ==
        std::vector<std::string_view>{"create_container", "create_process", "pause_container",
                                      "resume_container", "update_container", "delete_container"});
  CHECK(std::vector<std::string_view>{StartProcess::method, OwnProcess::method,
                                      ResizeTerminal::method, SignalProcess::method,
                                      ProcessExited::method, SdNotify::method} ==
        std::vector<std::string_view>{"start_process", "own_process", "resize_terminal",
                                      "signal_process", "process_exited", "sd_notify"});
  CHECK(std::vector<std::string_view>{ListProcesses::method, ReadStatistics::method,
                                      WatchContainer::method, ContainerEvent::method,
                                      ConfigureNetwork::method, DnsQuery::method,
                                      DnsAnswer::method} ==
        std::vector<std::string_view>{"list_processes", "container_statistics", "watch_container",
                                      "container_event", "configure_network", "dns_query",
                                      "answer_dns"});
}

TEST_CASE("messages: an error keeps its code, text and errno", "[guestcomm]") {
  const Response back =
      decode_response(encode(Response{3, Error(Errc::wrong_state, "container not running", 5)}));
  const auto* error = std::get_if<Error>(&back.outcome);
  REQUIRE(error);
  CHECK(back.id == 3);
  CHECK(error->code() == Errc::wrong_state);
  CHECK(error->sys_errno() == 5);
  CHECK(std::string(error->what()) == "container not running");
}

TEST_CASE("messages: a text that is not UTF-8 still arrives", "[guestcomm]") {
  const Response back =
      decode_response(encode(Response{3, Error(Errc::internal, "exec \xff\xfe")}));
  const auto* error = std::get_if<Error>(&back.outcome);
  REQUIRE(error);
  CHECK_THAT(error->what(), ContainsSubstring("exec "));
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
  const std::string process = R"("container":"x","process":"")";
  for (const char* rest : {R"(,"status":256})", R"(,"status":-1})", R"(,"status":"0"})", "}"})
    CHECK_THROWS_AS(json::parse("{" + process + rest).get<ProcessExited>(), Error);
  CHECK_THROWS_AS(json::parse(R"({"container":1,"process":"","status":0})").get<ProcessExited>(),
                  Error);
  CHECK_THROWS_AS(json::parse(R"({"container":"x","status":0})").get<ProcessExited>(), Error);
  for (const char* rest : {R"(,"signal":4294967296,"all":true})", R"(,"signal":9,"all":1})"})
    CHECK_THROWS_AS(json::parse("{" + process + rest).get<SignalProcess>(), Error);
  json create(CreateContainer{.id = "c1", .spec = oci::example_spec(false, 0, 0), .stdio = {}});
  for (const char* stdio : {"1", "{}", R"({"pipes":{"stdin":1}})", R"({"terminal":{}})",
                            R"({"terminal":{"stream":"a","rows":"1","columns":1}})"}) {
    CAPTURE(stdio);
    create["stdio"] = json::parse(stdio);
    CHECK_THROWS_AS(create.get<CreateContainer>(), Error);
  }
}

TEST_CASE("messages: a list of processes comes without what steers a terminal", "[guestcomm]") {
  const ProcessList list{
      {{.pid = 7, .parent = 1, .uid = 1000, .cpu_ms = 1500, .command = "a\x1b[2J"},
       {.pid = 1, .parent = 0, .uid = 0, .cpu_ms = 0, .command = "sh"}},
      true};
  const auto back = json(list).get<ProcessList>();
  REQUIRE(back.processes.size() == 2);
  CHECK(back.is_cut);
  CHECK(back.processes[0].pid == 7);
  CHECK(back.processes[0].parent == 1);
  CHECK(back.processes[0].uid == 1000);
  CHECK(back.processes[0].cpu_ms == 1500);
  CHECK(back.processes[0].command == "a?[2J");
  for (
      const char* bad :
      {R"({"processes":{},"is_cut":false})", R"({"processes":[{}],"is_cut":false})", "[]",
       R"({"processes":[{"pid":1,"parent":0,"uid":-1,"cpu_ms":0,"command":""}],"is_cut":false})",
       R"({"processes":[{"pid":1,"parent":0,"uid":4294967296,"cpu_ms":0,"command":""}],"is_cut":false})"}) {
    CAPTURE(bad);
    CHECK_THROWS_AS(json::parse(bad).get<ProcessList>(), Error);
  }
}

TEST_CASE("messages: the guest's trace is carried and checked", "[guestcomm]") {
  const GuestTrace trace{1000, {{"kernel", 0, 700}, {"a\x1b[2J", 700, 900}}};
  const auto back = json(trace).get<GuestTrace>();
  CHECK(back.now_us == 1000);
  REQUIRE(back.spans.size() == 2);
  CHECK(back.spans[0].name == "kernel");
  CHECK(back.spans[1].name == "a?[2J");
  CHECK(back.spans[1].begin_us == 700);
  CHECK(back.spans[1].end_us == 900);
  for (const char* bad :
       {R"({"now_us":1})", R"({"now_us":-1,"spans":[]})", R"({"now_us":1,"spans":{}})",
        R"({"now_us":1,"spans":[{}]})", R"({"now_us":1e99,"spans":[]})",
        R"({"now_us":9223372036854775807,"spans":[]})",
        R"({"now_us":1,"spans":[{"name":"a","begin_us":2,"end_us":1}]})"}) {
    CAPTURE(bad);
    CHECK_THROWS_AS(json::parse(bad).get<GuestTrace>(), Error);
  }
  const GuestTrace flood{1, std::vector<GuestSpan>(GuestTrace::max_spans + 1)};
  CHECK_THROWS_AS(json(flood).get<GuestTrace>(), Error);
}

TEST_CASE("messages: a port to connect to is carried and checked", "[guestcomm]") {
  const auto back = json(ConnectPort{65535, "in", "out"}).get<ConnectPort>();
  CHECK(back.port == 65535);
  CHECK(back.to_container == "in");
  CHECK(back.from_container == "out");
  for (const char* port : {"-1", "65536", "\"80\"", "null"}) {
    const std::string text =
        std::string(R"({"to_container":"a","from_container":"b","port":)") + port + "}";
    CHECK_THROWS_AS(json::parse(text).get<ConnectPort>(), Error);
  }
}

TEST_CASE("messages: exec's process and a terminal's size are carried and checked", "[guestcomm]") {
  CreateProcess create{.process = {"c1", "p1"}, .spec = {}, .stdio = {}, .cgroup = "below"};
  create.spec.args = {"ls"};
  create.spec.cwd = "/";
  create.stdio = Terminal<std::string>{"token", {1, 2}};
  const auto back = json(create).get<CreateProcess>();
  CHECK(back.process == create.process);
  CHECK(back.spec == create.spec);
  CHECK(back.cgroup == "below");
  CHECK(std::get<Terminal<std::string>>(back.stdio).size == WindowSize{1, 2});
  const auto resize = json(ResizeTerminal{{"c1", "p1"}, {50, 65535}}).get<ResizeTerminal>();
  CHECK(resize.size == WindowSize{50, 65535});
  for (const char* rows : {"-1", "65536", "\"1\""}) {
    const std::string text =
        std::string(R"({"container":"c","process":"p","columns":1,"rows":)") + rows + "}";
    CHECK_THROWS_AS(json::parse(text).get<ResizeTerminal>(), Error);
  }
}

TEST_CASE("messages: a DNS message is carried, and refused as malformed where it is",
          "[guestcomm]") {
  const auto query = json(DnsQuery{7, true, "\x01\xff"}).get<DnsQuery>();
  CHECK(query.number == 7);
  CHECK(query.over_tcp);
  CHECK(query.message == "\x01\xff");
  for (const char* bad :
       {R"([])", R"({"number":"1","over_tcp":true,"message":""})",
        R"({"number":-1,"over_tcp":true,"message":""})",
        R"({"number":1.5,"over_tcp":true,"message":""})",
        R"({"number":4294967296,"over_tcp":true,"message":""})",
        R"({"number":1,"over_tcp":0,"message":""})", R"({"number":1,"over_tcp":true,"message":7})",
        R"({"number":1,"over_tcp":true,"message":"0"})"}) {
    CAPTURE(bad);
    CHECK_THROWS_AS(json::parse(bad).get<DnsQuery>(), Error);
  }
  const auto of_size = [](std::size_t bytes) {
    return json(DnsQuery{7, false, std::string(bytes, 'x')}).get<DnsQuery>().message.size();
  };
  CHECK(of_size(4096) == 4096);
  CHECK_THROWS_AS(of_size(4097), Error);
}
