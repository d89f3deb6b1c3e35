// SPDX-License-Identifier: Apache-2.0
// Who is served by the agent, and what they may name.
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include "agent/request/control_server.hpp"
#include "agent/request/request_check.hpp"
#include "agent/request/secret.hpp"
#include "agent/stream/vsock.hpp"
#include "lib/base/files.hpp"
#include "lib/guestcomm/protocol/connections.hpp"
#include "lib/guestcomm/protocol/process_messages.hpp"
#include "lib/guestcomm/protocol/vm_messages.hpp"

using namespace husk::agent;
using namespace husk::guestcomm;
using namespace std::chrono_literals;
using Catch::Matchers::ContainsSubstring;
using husk::UniqueFd;

namespace {

const std::string access_secret = "0123456789abcdef0123456789abcdef";

struct Server {
  explicit Server(ProtocolRange spoken = own_protocols) : protocols(spoken) {}

  ProtocolRange protocols;
  EventLoop loop;
  int requests = 0;
  ControlServer control{loop,
                        Secret(access_secret),
                        {[this](ConnectionId, const Request&, const Reply& reply) {
                           ++requests;
                           reply(done());
                         },
                         [](ConnectionId) {}},
                        protocols};

  UniqueFd connect(Caller caller = Caller::root) {
    int ends[2];
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) == 0);
    control.adopt(UniqueFd{ends[0]}, caller);
    return UniqueFd{ends[1]};
  }
  /// Everything that is answered to `bytes`, and whether the connection was closed after it.
  struct Answer {
    std::string bytes;
    bool closed;
  };
  Answer say(const UniqueFd& socket, const std::string& bytes) {
    husk::write_all(socket.get(), bytes);
    for (int i = 0; i < 5; ++i) loop.run_once(5ms);
    Answer answer{{}, false};
    char chunk[4096];
    ssize_t count = 0;
    while ((count = ::read(socket.get(), chunk, sizeof chunk)) > 0) {
      answer.bytes.append(chunk, static_cast<std::size_t>(count));
    }
    answer.closed = count == 0;
    return answer;
  }
};

std::string hello(const nlohmann::json& said) {
  nlohmann::json params{{"protocol", own_protocols.newest}, {"version", "test"}};
  params.update(said);
  return make_frame(encode(Request{1, std::string(Hello::method), params}));
}

CreateContainer request_with(const std::string& root, const std::string& source) {
  CreateContainer request{"one", {}, {}};
  request.spec.root.emplace();
  request.spec.root->path = root;
  husk::oci::Mount mount;
  mount.destination = "/x";
  mount.source = source;
  mount.options = {"rbind"};
  request.spec.mounts.push_back(mount);
  return request;
}

}  // namespace

TEST_CASE("control: who says the VM's secret is served, and is not told it") {
  Server server;
  const UniqueFd socket = server.connect();
  const auto answer = server.say(socket, hello({{"secret", access_secret}}));
  CHECK_FALSE(answer.closed);
  CHECK_THAT(answer.bytes, ContainsSubstring("result") && !ContainsSubstring(access_secret));
  server.say(socket, make_frame(encode(Request{2, "anything", {}})));
  CHECK(server.requests == 1);
}

TEST_CASE("control: a wrong secret, none, or one of another length ends the connection") {
  Server server;
  for (const nlohmann::json& said :
       {nlohmann::json{{"secret", "0123456789abcdef0123456789abcdee"}}, nlohmann::json::object(),
        nlohmann::json{{"secret", "0123456789abcdef"}},
        nlohmann::json{{"secret", access_secret + "0"}}}) {
    const UniqueFd socket = server.connect();
    const auto answer = server.say(socket, hello(said));
    CHECK(answer.closed);
    CHECK_THAT(answer.bytes, ContainsSubstring("hello.secret"));
  }
  const UniqueFd socket = server.connect();
  CHECK(server.say(socket, make_frame(encode(make_request(1, StartProcess{})))).closed);
  CHECK(server.requests == 0);
  CHECK_FALSE(server.control.was_greeted());
}

TEST_CASE("control: a host is served that shares one protocol, whatever else it speaks") {
  Server server;
  const int oldest = own_protocols.oldest, newest = own_protocols.newest;
  const auto say = [&](int from, int to) {
    const UniqueFd socket = server.connect();
    return server.say(
        socket, hello({{"secret", access_secret}, {"oldest_protocol", from}, {"protocol", to}}));
  };
  for (const auto& [from, to] :
       {std::pair{oldest, newest + 7}, {1, newest}, {newest, newest + 1}}) {
    const auto answer = say(from, to);
    CHECK_FALSE(answer.closed);
    CHECK_THAT(answer.bytes, ContainsSubstring(R"("oldest_protocol":)" + std::to_string(oldest)) &&
                                 ContainsSubstring(R"("protocol":)" + std::to_string(newest)));
  }
  const auto refused = say(newest + 1, newest + 4);
  CHECK(refused.closed);
  CHECK_THAT(refused.bytes,
             ContainsSubstring("the guest agent speaks protocol " + describe(own_protocols) +
                               ", the host " + describe({newest + 1, newest + 4})));
  CHECK(say(newest, oldest - 1).closed);  // no range
}

TEST_CASE("control: an update on either side cuts off no VM that runs") {
  const int oldest = own_protocols.oldest, newest = own_protocols.newest;
  const ProtocolRange today = own_protocols, next{oldest, newest + 1};
  // The agent of a VM that runs with the host's next release, and the other way round.
  for (const auto& [agent, host] : {std::pair{today, next}, {next, today}}) {
    Server server(agent);
    const UniqueFd socket = server.connect();
    const Hello said{.protocols = host, .version = "test", .secret = access_secret};
    const auto answer = server.say(socket, make_frame(encode(make_request(1, said))));
    CHECK_FALSE(answer.closed);
    FrameReader reader;
    reader.append(answer.bytes);
    const Response response = decode_response(reader.next().value());
    const auto hello = std::get<nlohmann::json>(response.outcome).get<Hello>();
    CHECK(hello.protocols == ProtocolRange{oldest, newest});
    CHECK(agree(hello.protocols, host) == newest);
    server.say(socket, make_frame(encode(make_request(2, StartProcess{}))));
    CHECK(server.requests == 1);
  }
}

TEST_CASE("control: before hello a frame has 4 KiB at most, after it more") {
  Server server;
  const UniqueFd stranger = server.connect();
  const auto answer = server.say(stranger, make_frame(std::string(5u << 10, ' ')));
  CHECK(answer.closed);
  CHECK(answer.bytes.empty());
  const UniqueFd known = server.connect();
  server.say(known, hello({{"secret", access_secret}}));
  const nlohmann::json params{{"long", std::string(20u << 10, 'x')}};
  CHECK_FALSE(server.say(known, make_frame(encode(Request{2, "anything", params}))).closed);
  CHECK(server.requests == 1);
}

TEST_CASE("control: the ninth connection that has not said hello is refused") {
  Server server;
  std::vector<UniqueFd> greeted, strangers;
  for (int i = 0; i < 12; ++i) {
    greeted.push_back(server.connect());
    server.say(greeted.back(), hello({{"secret", access_secret}}));
  }
  for (int i = 0; i < 9; ++i) strangers.push_back(server.connect());
  char byte = 0;
  CHECK(::read(strangers[8].get(), &byte, 1) == 0);
  CHECK(::read(strangers[7].get(), &byte, 1) == -1);
  CHECK(server.control.greeted_connections() == 12);
}

TEST_CASE("secret: only 32 hex digits are one, and a file without them serves nobody") {
  CHECK(Secret(access_secret).matches(access_secret));
  CHECK_FALSE(Secret(access_secret).matches(""));
  CHECK_THROWS_AS(Secret(std::string(31, 'a')), husk::Error);
  CHECK_THROWS_AS(Secret(std::string(32, 'g')), husk::Error);
  char path[] = "/tmp/husk-secret-XXXXXX";
  const UniqueFd file{::mkstemp(path)};
  husk::write_all(file.get(), access_secret + "\n");
  CHECK(load_secret(path).matches(access_secret));
  husk::write_all(file.get(), "more");
  CHECK_THROWS_AS(load_secret(path), husk::Error);
  ::unlink(path);
  CHECK_THROWS_AS(load_secret(path), husk::Error);
}

TEST_CASE("control: of anybody's connections without hello the oldest makes room, root's stay") {
  Server server;
  const UniqueFd roots = server.connect();
  std::vector<UniqueFd> strangers;
  for (std::size_t i = 0; i <= Strangers::max_of_anybody + 1; ++i)
    strangers.push_back(server.connect(Caller::anybody));
  char byte = 0;
  CHECK(::read(strangers[0].get(), &byte, 1) == 0);
  CHECK(::read(strangers[1].get(), &byte, 1) == 0);
  CHECK(::read(strangers[2].get(), &byte, 1) == -1);
  CHECK(::read(strangers.back().get(), &byte, 1) == -1);
  CHECK_FALSE(server.say(roots, hello({{"secret", access_secret}})).closed);
  CHECK_FALSE(server.say(server.connect(), hello({{"secret", access_secret}})).closed);
}

TEST_CASE("control: a hello that has come is heard before its connection is dropped") {
  Server server;
  const UniqueFd caller = server.connect(Caller::anybody);
  husk::write_all(caller.get(), hello({{"secret", access_secret}}));
  std::vector<UniqueFd> strangers;
  for (std::size_t i = 0; i < 3 * Strangers::max_of_anybody; ++i)
    strangers.push_back(server.connect(Caller::anybody));
  CHECK(server.control.greeted_connections() == 1);
  CHECK_FALSE(server.say(caller, make_frame(encode(Request{2, "anything", {}}))).closed);
  CHECK(server.requests == 1);
}

TEST_CASE("control: anybody with a wrong secret gets nothing, and leaves no connection") {
  Server server;
  for (std::size_t i = 0; i < 2 * Strangers::max_of_anybody; ++i) {
    const UniqueFd socket = server.connect(Caller::anybody);
    husk::write_all(socket.get(), hello({{"secret", std::string(32, 'f')}}));
  }
  for (std::size_t i = 0; i < 4 * Strangers::max_of_anybody; ++i) server.loop.run_once(0ms);
  const UniqueFd last = server.connect(Caller::anybody);
  CHECK(server
            .say(last, hello({{"secret", std::string(32, 'e')}}) +
                           make_frame(encode(Request{2, "anything", {}})))
            .closed);
  CHECK(server.requests == 0);
  CHECK_FALSE(server.control.was_greeted());
  CHECK(server.control.greeted_connections() == 0);
}

TEST_CASE("vsock: only the host is welcome, and ports below 1024 are root's") {
  CHECK(recognise(host_cid, 1023, true) == Caller::root);
  CHECK(recognise(host_cid, 1024, true) == Caller::anybody);
  CHECK(recognise(host_cid, 0xffffffff, true) == Caller::anybody);
  CHECK(recognise(host_cid, 40000, false) == Caller::root);  // no other user reaches the guest
  CHECK_FALSE(recognise(3, 1023, true));
  CHECK_FALSE(recognise(1, 1023, false));
}

TEST_CASE("create request: root and bind sources lie below the container's own folder") {
  const std::string own = "/run/husk/shared/one";
  CHECK_NOTHROW(check_create_request(request_with(own + "/rootfs", own + "/mounts/0")));
  for (const std::string& path :
       {std::string("/"), std::string("/run/husk/shared/secret"), std::string("/etc"), own,
        own + "/", own + "/../two/rootfs", std::string("/run/husk/shared/oneself/rootfs"),
        std::string("run/husk/shared/one/rootfs"), own + "//rootfs", std::string{}}) {
    CAPTURE(path);
    CHECK_THROWS_WITH(check_create_request(request_with(path, own + "/mounts/0")),
                      ContainsSubstring("root.path"));
    CHECK_THROWS_WITH(check_create_request(request_with(own + "/rootfs", path)),
                      ContainsSubstring("mounts[0].source"));
  }
  CreateContainer request = request_with(own + "/rootfs", own + "/mounts/0");
  request.id = "../one";
  CHECK_THROWS_AS(check_create_request(request), husk::Error);
}

TEST_CASE("exec request: a name, arguments, and a cgroup below the container's") {
  CreateProcess request{{"one", "p-1"}, {}, {}, "a/b"};
  request.spec.args = {"ls"};
  CHECK_NOTHROW(check_create_request(request));
  for (const char* name : {"", "P1", "../p", "a b"}) {
    CAPTURE(name);
    request.process.process = name;
    CHECK_THROWS_WITH(check_create_request(request),
                      ContainsSubstring("is not a valid process name"));
  }
  request.process.process = std::string(65, 'a');
  CHECK_THROWS_AS(check_create_request(request), husk::Error);
  request.process.process = "p1";
  for (const char* cgroup : {"..", "a/../..", "/", "/other"}) {
    CAPTURE(cgroup);
    request.cgroup = cgroup;
    CHECK_THROWS_WITH(check_create_request(request), ContainsSubstring("cgroup"));
  }
  request.cgroup.clear();
  request.spec.args.clear();
  CHECK_THROWS_WITH(check_create_request(request), ContainsSubstring("process.args"));
}
