// SPDX-License-Identifier: Apache-2.0
#include "lib/guestcomm/link/guest_address.hpp"

#include <fcntl.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <chrono>
#include <fstream>
#include <future>
#include <nlohmann/json.hpp>
#include <tuple>
#include <vector>

#include "lib/base/error.hpp"
#include "test/lib/base/scratch.hpp"
#include "test/lib/guestcomm/link/hybrid_peer.hpp"

using namespace husk;
using namespace husk::guestcomm;
using namespace husk::test;
using namespace std::chrono_literals;
using Catch::Matchers::ContainsSubstring;

namespace {

Error failure_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& e) {
    return e;
  }
  FAIL("nothing was thrown");
  return {Errc::internal, ""};
}

Error connect_failure(const std::filesystem::path& path, std::chrono::milliseconds patience) {
  return failure_of([&] { connect_guest(HybridAddress{path.string()}, 1024, patience); });
}

}  // namespace

TEST_CASE("hybrid: asks for the port, takes the OK line and not a byte more", "[guestcomm]") {
  const Scratch scratch;
  std::string asked;
  {
    const HybridPeer peer(scratch.path() / "vsock.sock", [&](int connection) {
      asked = receive_line(connection);
      send_text(connection, "OK 1073741824\nfirst bytes of the guest");
    });
    const UniqueFd socket =
        connect_guest(HybridAddress{(scratch.path() / "vsock.sock").string()}, 1025, 5s);
    CHECK((::fcntl(socket.get(), F_GETFL) & O_NONBLOCK) == 0);
    CHECK((::fcntl(socket.get(), F_GETFD) & FD_CLOEXEC) != 0);
    CHECK(receive_line(socket.get()) == "first bytes of the guest");
  }
  CHECK(asked == "CONNECT 1025");
}

TEST_CASE("hybrid: a path longer than a socket address can hold works", "[guestcomm]") {
  const Scratch scratch;
  const auto deep = scratch.path() / std::string(120, 'd');
  std::filesystem::create_directory(deep);
  const HybridPeer peer(scratch.path() / "s", [](int connection) {
    receive_line(connection);
    send_text(connection, "OK 1\n");
    await_close(connection);
  });
  std::filesystem::rename(scratch.path() / "s", deep / "s");
  CHECK(connect_guest(HybridAddress{(deep / "s").string()}, 1, 5s));
}

TEST_CASE("hybrid: a device that closes means that nobody listens in the guest", "[guestcomm]") {
  const Scratch scratch;
  const HybridPeer peer(scratch.path() / "s", [](int connection) { receive_line(connection); });
  CHECK(connect_failure(scratch.path() / "s", 5s).code() == Errc::peer_lost);
}

TEST_CASE("hybrid: a device that never answers costs the patience and no more", "[guestcomm]") {
  const Scratch scratch;
  const HybridPeer peer(scratch.path() / "s", [](int connection) { await_close(connection); });
  const auto start = std::chrono::steady_clock::now();
  CHECK(connect_failure(scratch.path() / "s", 200ms).code() == Errc::timed_out);
  const auto taken = std::chrono::steady_clock::now() - start;
  CHECK(taken >= 200ms);
  CHECK(taken < 2s);
}

TEST_CASE("hybrid: a byte now and then does not stretch the patience", "[guestcomm]") {
  const Scratch scratch;
  const HybridPeer peer(scratch.path() / "s", [](int connection) {
    for (int sent = 0; sent < 40; ++sent) {
      if (::send(connection, "O", 1, MSG_NOSIGNAL) != 1) return;
      std::this_thread::sleep_for(50ms);
    }
  });
  const auto start = std::chrono::steady_clock::now();
  CHECK(connect_failure(scratch.path() / "s", 300ms).code() == Errc::timed_out);
  CHECK(std::chrono::steady_clock::now() - start < 1500ms);
}

TEST_CASE("hybrid: garbage is refused, bounded, and shown harmlessly", "[guestcomm]") {
  const Scratch scratch;
  const std::string garbage =
      GENERATE(as<std::string>{}, "NO\n", "\n", "OK\n", std::string(100000, 'x'),
               std::string("\0\x1b[2J\n", 6), "ok 1\n");
  const HybridPeer peer(scratch.path() / "s", [&](int connection) {
    receive_line(connection);
    send_text(connection, garbage);
    await_close(connection);
  });
  const Error error = connect_failure(scratch.path() / "s", 5s);
  const std::string text = error.what();
  CHECK(error.code() != Errc::timed_out);
  CHECK(text.size() < 300);
  CHECK(text.find('\x1b') == std::string::npos);
}

TEST_CASE("hybrid: what is not a socket itself is not connected to", "[guestcomm]") {
  const Scratch scratch;
  const auto link = scratch.path() / "link";
  std::ofstream(scratch.path() / "file") << "x";
  CHECK(connect_failure(scratch.path() / "file", 1s).code() == Errc::invalid_argument);
  CHECK(connect_failure(scratch.path() / "missing", 1s).code() == Errc::peer_lost);
  bool reached = false;
  {
    const HybridPeer peer(scratch.path() / "s", [&](int) { reached = true; });
    std::filesystem::create_symlink(scratch.path() / "s", link);
    CHECK(connect_failure(link, 1s).code() == Errc::invalid_argument);
  }
  CHECK_FALSE(reached);
}

TEST_CASE("hybrid: a socket without a listener is a lost peer", "[guestcomm]") {
  const Scratch scratch;
  std::filesystem::path path = scratch.path() / "s";
  {
    const HybridPeer peer(path, [](int) {});
  }
  REQUIRE(std::filesystem::is_socket(path));
  CHECK(connect_failure(path, 1s).code() == Errc::peer_lost);
}

TEST_CASE("vsock: a CID that no guest has is a lost peer, in time", "[guestcomm]") {
  const auto start = std::chrono::steady_clock::now();
  const Error error = failure_of([&] { connect_guest(VsockAddress{0x7ffffff0}, 1024, 500ms); });
  INFO(error.what());
  CHECK((error.code() == Errc::peer_lost || error.code() == Errc::timed_out ||
         error.code() == Errc::system));
  CHECK(std::chrono::steady_clock::now() - start < 3s);
}

TEST_CASE("guest address: survives state.json, and a wrong one is refused", "[guestcomm]") {
  for (const GuestAddress& address :
       {GuestAddress{VsockAddress{77}}, GuestAddress{VsockAddress{77, true}},
        GuestAddress{HybridAddress{"/run/x/vsock.sock"}}}) {
    nlohmann::json written;
    to_json(written, address);
    GuestAddress back;
    from_json(written, back);
    CHECK(back == address);
  }
  for (const char* text : {"{}", "[]", "7", R"({"vsockCid":3,"anyPort":1})", R"({"vsockCid":-1})",
                           R"({"vsockCid":4294967296})", R"({"hybridSocket":1})", "null"}) {
    GuestAddress address;
    CHECK_THROWS_AS(from_json(nlohmann::json::parse(text), address), Error);
  }
}

TEST_CASE("guest address: an agent before protocol 6 is reached from privileged ports alone",
          "[guestcomm]") {
  GuestAddress recorded;
  from_json(nlohmann::json::parse(R"({"vsockCid":3})"), recorded);
  CHECK(first_source(recorded) == SourcePort::privileged);
  CHECK(first_source(with_protocol(recorded, 5)) == SourcePort::privileged);
  CHECK(first_source(with_protocol(recorded, 6)) == SourcePort::any);
  const GuestAddress hybrid = HybridAddress{"/run/x/vsock.sock"};
  CHECK(with_protocol(hybrid, 6) == hybrid);
}

TEST_CASE("reach_guest: a lost connection is tried again from a privileged port, nothing else is",
          "[guestcomm]") {
  std::vector<SourcePort> tried;
  const auto attempt = [&](Errc code, int error = 0) {
    return [&, code, error](SourcePort source) {
      tried.push_back(source);
      if (source == SourcePort::any || tried.size() < 4) throw Error(code, "lost", error);
      return 7;
    };
  };
  const GuestAddress today = VsockAddress{3, true}, earlier = VsockAddress{3, false};
  CHECK(reach_guest(today, attempt(Errc::peer_lost, ECONNRESET)) == 7);
  CHECK(tried == std::vector{SourcePort::any, SourcePort::privileged, SourcePort::privileged,
                             SourcePort::privileged});
  for (const auto& [address, code, tries] : {std::tuple{today, Errc::peer_lost, 2U},
                                             {today, Errc::invalid_argument, 1U},
                                             {today, Errc::timed_out, 1U},
                                             {earlier, Errc::peer_lost, 1U}}) {
    tried.clear();
    CHECK_THROWS_AS(reach_guest(address, attempt(code)), Error);
    CHECK(tried.size() == tries);
  }
}
