// SPDX-License-Identifier: Apache-2.0
// The real husk-shim; the test stands for husk and for the guest's agent.
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <csignal>
#include <fstream>
#include <thread>

#include "lib/base/error.hpp"
#include "lib/base/files.hpp"
#include "lib/guestcomm/protocol/dns.hpp"
#include "lib/guestcomm/protocol/frame.hpp"
#include "lib/guestcomm/protocol/process_messages.hpp"
#include "lib/guestcomm/protocol/rpc.hpp"
#include "lib/handoff/handoff.hpp"
#include "test/loopback_namespace.hpp"

using namespace husk;
using namespace husk::guestcomm;

namespace {

struct Pair {
  UniqueFd ours, theirs;
  explicit Pair(int type) {
    std::array<int, 2> ends{};
    REQUIRE(::socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, ends.data()) == 0);
    ours.reset(ends[0]);
    theirs.reset(ends[1]);
  }
};

struct Pipe {
  UniqueFd read_end, write_end;
  Pipe() {
    std::array<int, 2> ends{};
    REQUIRE(::pipe2(ends.data(), O_CLOEXEC) == 0);
    read_end.reset(ends[0]);
    write_end.reset(ends[1]);
  }
};

/// A shim with pipes as the caller's streams and sockets as the guest's.
class Shim {
 public:
  Shim() {
    pid = ::fork();
    if (pid == 0) {
      ::dup2(in.read_end.get(), 0);
      ::dup2(out.write_end.get(), 1);
      ::dup2(err.write_end.get(), 2);
      ::dup2(handoff.theirs.get(), husk::handoff::shim_fd);
      ::close_range(husk::handoff::shim_fd + 1, ~0U,
                    0);  // as husk does it; the test may have been given some
      ::execl(HUSK_SHIM, "/usr/sbin/nginx", "-g", "daemon off;", nullptr);
      ::_exit(99);
    }
    in.read_end.reset();
    out.write_end.reset();
    err.write_end.reset();
    handoff.theirs.reset();
  }
  Shim(const Shim&) = delete;
  Shim& operator=(const Shim&) = delete;
  ~Shim() {
    if (pid <= 0) return;
    ::kill(pid, SIGKILL);
    ::waitpid(pid, nullptr, 0);
  }

  /// Hands over and plays the agent's part of it.
  void become_ready(std::chrono::milliseconds patience = std::chrono::seconds{30}) {
    husk::handoff::send(
        handoff.ours.get(), {.process = {"c1", "p1"}, .message_patience = patience},
        control.theirs.get(),
        Pipes<int>{guest_in.theirs.get(), guest_out.theirs.get(), guest_err.theirs.get()},
        notify.theirs.get());
    control.theirs.reset();
    guest_in.theirs.reset();
    guest_out.theirs.reset();
    guest_err.theirs.reset();
    const Request request = decode_request(read_frame(control.ours.get()).value());
    REQUIRE(request.is<OwnProcess>());
    REQUIRE(request.params.get<ProcessRef>() == ProcessRef{"c1", "p1"});
    write_frame(control.ours.get(), encode(Response{request.id.value(), nlohmann::json::object()}));
    std::array<char, 64> answer{'x'};
    REQUIRE(::recv(handoff.ours.get(), answer.data(), answer.size(), 0) == 1);
    REQUIRE(answer[0] == '\0');
  }

  void report_exit(int status) const {
    write_frame(control.ours.get(), encode(make_notification(ProcessExited{{"c1", "p1"}, status})));
  }

  void ask_dns(const DnsQuery& query) const {
    write_frame(control.ours.get(), encode(make_notification(query)));
  }
  /// The agent's part of answer_dns.
  DnsAnswer take_dns_answer() const {
    const Request request =
        decode_request(read_frame(control.ours.get(), Deadline(std::chrono::seconds{20})).value());
    REQUIRE(request.is<DnsAnswer>());
    write_frame(control.ours.get(), encode(Response{request.id.value(), nlohmann::json::object()}));
    return request.params.get<DnsAnswer>();
  }

  int wait_for_exit() {
    int status = 0;
    REQUIRE(::waitpid(pid, &status, 0) == pid);
    pid = -1;
    REQUIRE(WIFEXITED(status));
    return WEXITSTATUS(status);
  }

  Pair handoff{SOCK_SEQPACKET}, control{SOCK_STREAM}, guest_in{SOCK_STREAM}, guest_out{SOCK_STREAM},
      guest_err{SOCK_STREAM}, notify{SOCK_DGRAM};
  Pipe in, out, err;
  pid_t pid = -1;
};

/// Where the container's DNS server is.
class DnsSocket {
 public:
  explicit DnsSocket(int type) : socket_(::socket(AF_INET, type | SOCK_CLOEXEC, 0)) {
    sockaddr_in own{};
    own.sin_family = AF_INET;
    own.sin_port = htons(dns_port);
    ::inet_pton(AF_INET, dns_address, &own.sin_addr);
    REQUIRE(::bind(socket_.get(), reinterpret_cast<sockaddr*>(&own), sizeof own) == 0);
    if (type == SOCK_STREAM) REQUIRE(::listen(socket_.get(), 8) == 0);
  }
  int get() const { return socket_.get(); }
  UniqueFd accept() const { return UniqueFd{::accept(socket_.get(), nullptr, nullptr)}; }

 private:
  UniqueFd socket_;
};

}  // namespace

TEST_CASE("husk-shim: passes on what the container says of itself, without its pids", "[shim]") {
  Shim shim;
  shim.become_ready();
  const auto say = [&](const std::string& text) {
    write_frame(shim.control.ours.get(), encode(Request{{}, "sd_notify", SdNotify{text}}));
  };
  const auto heard = [&] {
    std::array<char, 8192> text{};
    pollfd ready{shim.notify.ours.get(), POLLIN, 0};
    REQUIRE(::poll(&ready, 1, 20'000) == 1);
    return std::string(text.data(), static_cast<std::size_t>(
                                        ::recv(ready.fd, text.data(), text.size(), MSG_DONTWAIT)));
  };
  say("MAINPID=7");  // nothing is left of it
  say("READY=1\nMAINPID=7\nFDSTORE=1\nSTATUS=up and running\n=\nno name\nREADY");
  CHECK(heard() == "READY=1\nSTATUS=up and running\n");
  say("STATUS=\x1b[2J\nSTATUS=\xc2\x9b\x32J\nSTOPPING=1");
  CHECK(heard() == "STOPPING=1\n");
  // A caller that does not read makes nobody wait.
  for (int i = 0; i < 2000; ++i) say("WATCHDOG=1");
  shim.guest_out.ours.reset();
  shim.guest_err.ours.reset();
  shim.report_exit(4);
  CHECK(shim.wait_for_exit() == 4);
}

TEST_CASE("husk-shim: asks its namespace's DNS server for the guest", "[shim][dns]") {
  test::in_loopback_namespace([] {
    Shim shim;
    shim.become_ready();
    SECTION("by datagrams, which may be answered in any order") {
      const DnsSocket server(SOCK_DGRAM);
      shim.ask_dns({1, false, "one"});
      shim.ask_dns({2, false, "two"});
      std::vector<std::pair<std::string, sockaddr_in>> asked;
      for (int i = 0; i < 2; ++i) {
        std::array<char, 512> buffer{};
        sockaddr_in from{};
        socklen_t length = sizeof from;
        const ssize_t count = ::recvfrom(server.get(), buffer.data(), buffer.size(), 0,
                                         reinterpret_cast<sockaddr*>(&from), &length);
        REQUIRE(count == 3);
        asked.emplace_back(std::string(buffer.data(), 3), from);
      }
      for (auto it = asked.rbegin(); it != asked.rend(); ++it) {
        const std::string answer = "answer to " + it->first;
        ::sendto(server.get(), answer.data(), answer.size(), 0,
                 reinterpret_cast<sockaddr*>(&it->second), sizeof it->second);
        const DnsAnswer got = shim.take_dns_answer();
        CHECK(got.number == (it->first == "one" ? 1U : 2U));
        CHECK(got.message == answer);
      }
    }
    SECTION("over TCP, in parts") {
      const DnsSocket server(SOCK_STREAM);
      shim.ask_dns({7, true, "question"});
      const UniqueFd connection = server.accept();
      CHECK(receive_before(connection.get(), 10, Deadline(std::chrono::seconds{5})) ==
            std::string("\x00\x08question", 10));
      const std::string large(40000, 'x');
      write_all(connection.get(), std::string("\x9c\x40", 2) + large.substr(0, 5));
      write_all(connection.get(), large.substr(5));
      const DnsAnswer got = shim.take_dns_answer();
      CHECK(got.number == 7);
      CHECK(got.message == large);
    }
    SECTION("and says when there is none") {
      for (const bool over_tcp : {false, true}) {
        shim.ask_dns({3, over_tcp, "anybody?"});
        const DnsAnswer got = shim.take_dns_answer();
        CHECK(got.number == 3);
        CHECK(got.message.empty());
      }
    }
    shim.guest_out.ours.reset();
    shim.guest_err.ours.reset();
    shim.report_exit(5);
    CHECK(shim.wait_for_exit() == 5);
  });
}

TEST_CASE("husk-shim: 256 DNS questions are open at most, each for 15 s", "[shim][dns]") {
  test::in_loopback_namespace([] {
    const DnsSocket server(SOCK_DGRAM);  // takes them and does not answer
    Shim shim;
    shim.become_ready();
    const auto begin = std::chrono::steady_clock::now();
    for (std::uint32_t number = 1; number <= 257; ++number) shim.ask_dns({number, false, "q"});
    const DnsAnswer refused = shim.take_dns_answer();
    CHECK(refused.number == 257);
    CHECK(refused.message.empty());
    CHECK(std::chrono::steady_clock::now() - begin < std::chrono::seconds{10});
    const DnsAnswer given_up = shim.take_dns_answer();
    CHECK(given_up.number != 257);
    CHECK(given_up.message.empty());
    const auto taken = std::chrono::steady_clock::now() - begin;
    CHECK(taken >= std::chrono::seconds{14});
    CHECK(taken < std::chrono::seconds{20});
    for (int n = 0; n < 255; ++n) shim.take_dns_answer();
    shim.ask_dns({258, false, "there is room again"});
    std::array<char, 64> question{};
    ssize_t count = 0;
    while (count >= 0 && question[0] != 't')
      count = ::recv(server.get(), question.data(), question.size(), 0);
    CHECK(count == 19);
  });
}

TEST_CASE("husk-shim: what the guest asks that is no DNS question ends it", "[shim][dns]") {
  Shim shim;
  shim.become_ready();
  write_frame(shim.control.ours.get(),
              encode(Request{{}, "dns_query", {{"number", 1}, {"over_tcp", 1}, {"message", "x"}}}));
  shim.guest_out.ours.reset();
  shim.guest_err.ours.reset();
  CHECK(shim.wait_for_exit() == 255);
}

TEST_CASE("husk-shim: ends when husk goes away before the hand-over", "[shim]") {
  Shim shim;
  shim.handoff.ours.reset();
  CHECK(shim.wait_for_exit() == 255);
}

TEST_CASE("husk-shim: an owner the agent refuses is reported to husk", "[shim]") {
  Shim shim;
  husk::handoff::send(shim.handoff.ours.get(), {.process = {"c1", ""}}, shim.control.theirs.get(),
                      Pipes<int>{});
  const Request request = decode_request(read_frame(shim.control.ours.get()).value());
  write_frame(shim.control.ours.get(),
              encode(Response{request.id.value(), Error(Errc::not_found, "no such container")}));
  std::array<char, 256> answer{};
  REQUIRE(::recv(shim.handoff.ours.get(), answer.data(), answer.size(), 0) > 1);
  CHECK(std::string(answer.data()) == "no such container");
  CHECK(shim.wait_for_exit() == 255);
}

TEST_CASE("husk-shim: carries each stream to its end and exits with the guest's status", "[shim]") {
  Shim shim;
  shim.become_ready();
  write_all(shim.in.write_end.get(), "to the guest");
  shim.in.write_end.reset();
  CHECK(read_all(shim.guest_in.ours.get(), 1000, "stdin") == "to the guest");  // and end of file
  write_all(shim.guest_err.ours.get(), "warning");
  shim.guest_err.ours.reset();
  CHECK(read_all(shim.err.read_end.get(), 1000, "stderr") == "warning");
  // More than pipes hold, with the exit reported before the reader begins: nothing may be lost.
  const std::string output(1 << 20, 'o');
  std::thread guest([&] {
    write_all(shim.guest_out.ours.get(), output);
    shim.guest_out.ours.reset();
    shim.report_exit(42);
  });
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  CHECK(read_all(shim.out.read_end.get(), 2 << 20, "stdout") == output);
  guest.join();
  CHECK(shim.wait_for_exit() == 42);
}

TEST_CASE("husk-shim: forwards every signal that can be caught", "[shim]") {
  Shim shim;
  shim.become_ready();
  for (const int signal : {SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGWINCH, SIGPIPE, SIGRTMIN + 3}) {
    CAPTURE(signal);
    REQUIRE(::kill(shim.pid, signal) == 0);
    const Request request = decode_request(read_frame(shim.control.ours.get()).value());
    CHECK(request.is<SignalProcess>());
    CHECK(request.params.get<SignalProcess>().signal == signal);
    write_frame(shim.control.ours.get(),
                encode(Response{request.id.value(), nlohmann::json::object()}));
  }
  shim.guest_out.ours.reset();
  shim.guest_err.ours.reset();
  shim.report_exit(128 + SIGTERM);
  CHECK(shim.wait_for_exit() == 128 + SIGTERM);
}

TEST_CASE("husk-shim: its death closes the connection that owns the container", "[shim]") {
  Shim shim;
  shim.become_ready();
  REQUIRE(::kill(shim.pid, SIGKILL) == 0);
  CHECK_FALSE(read_frame(shim.control.ours.get()));
}

TEST_CASE("husk-shim: a VM that dies is status 255", "[shim]") {
  Shim shim;
  shim.become_ready();
  shim.guest_out.ours.reset();
  shim.guest_err.ours.reset();
  shim.guest_in.ours.reset();
  shim.control.ours.reset();
  CHECK(shim.wait_for_exit() == 255);
}

TEST_CASE("husk-shim: a guest that says what nobody asked for, or too much, is lost", "[shim]") {
  const std::string said =
      GENERATE(encode(Request{{}, "process_exited", ProcessExited{{"c1", "other"}, 0}}),
               encode(Request{{}, "anything", ProcessExited{{"c1", "p1"}, 0}}),
               encode(Response{7, nlohmann::json::object()}), std::string(65u << 10, ' '));
  Shim shim;
  shim.become_ready();
  shim.guest_out.ours.reset();
  shim.guest_err.ours.reset();
  try {
    write_frame(shim.control.ours.get(), said);
  } catch (const Error&) {
    // the shim does not wait for the rest of what is too long
  }
  CHECK(shim.wait_for_exit() == 255);
}

TEST_CASE("husk-shim: a guest that drips inside of a message is lost, one that is silent is not",
          "[shim]") {
  constexpr auto patience = std::chrono::milliseconds(700), drip = std::chrono::milliseconds(50);
  Shim shim;
  shim.become_ready(patience);
  shim.guest_out.ours.reset();
  shim.guest_err.ours.reset();
  std::this_thread::sleep_for(patience * 3 / 2);  // between messages: no limit
  REQUIRE(::waitpid(shim.pid, nullptr, WNOHANG) == 0);
  const std::string message =
      make_frame(encode(Request{{}, "process_exited", ProcessExited{{"c1", "p1"}, 0}}));
  const auto begin = std::chrono::steady_clock::now();
  // Every byte is progress, and all of them take several times the patience.
  for (std::size_t i = 0; i + 1 < message.size(); ++i) {
    if (::send(shim.control.ours.get(), &message[i], 1, MSG_NOSIGNAL) != 1) break;
    std::this_thread::sleep_for(drip);
  }
  CHECK(shim.wait_for_exit() == 255);
  const auto taken = std::chrono::steady_clock::now() - begin;
  CHECK(taken >= patience);
  CHECK(taken < message.size() * drip / 2);
}

TEST_CASE("husk-shim: a reader that goes away closes the guest's stream, not the container",
          "[shim]") {
  Shim shim;
  shim.become_ready();
  shim.out.read_end.reset();
  ::signal(SIGPIPE, SIG_IGN);  // after the fork: the shim must not inherit it
  const std::string data(1 << 20, 'x');
  CHECK_THROWS_AS(write_all(shim.guest_out.ours.get(), data), Error);  // EPIPE, sooner or later
  ::signal(SIGPIPE, SIG_DFL);
  shim.guest_err.ours.reset();
  shim.report_exit(0);
  CHECK(shim.wait_for_exit() == 0);
}

TEST_CASE(
    "husk-shim: looks like the container's command and holds no privilege and no stray descriptor",
    "[shim]") {
  Shim shim;
  shim.become_ready();
  const std::string proc = "/proc/" + std::to_string(shim.pid);
  using namespace std::string_literals;
  CHECK(read_file(proc + "/cmdline", 4096) == "/usr/sbin/nginx\0-g\0daemon off;\0"s);
  CHECK(read_file(proc + "/comm", 64) == "nginx\n");
  const std::string status = read_file(proc + "/status", 65536);
  for (const char* line : {"CapPrm:\t0000000000000000", "CapEff:\t0000000000000000",
                           "CapBnd:\t0000000000000000", "NoNewPrivs:\t1"}) {
    CAPTURE(line);
    CHECK(status.find(line) != std::string::npos);
  }
  for (const auto& thread : std::filesystem::directory_iterator(proc + "/task"))
    CHECK(read_file(thread.path() / "status", 65536).find("Seccomp:\t2") != std::string::npos);
  // 0-2 in name only; signalfd, control, the caller's socket for sd_notify(3), and a socket and a
  // copy for each of three streams.
  const auto count = [&] {
    return std::distance(std::filesystem::directory_iterator(proc + "/fd"), {});
  };
  // The hand-over's socket is closed just after its answer was sent.
  for (int attempt = 0; attempt < 500 && count() > 12; ++attempt)
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  CHECK(count() == 3 + 3 + 6);
}
