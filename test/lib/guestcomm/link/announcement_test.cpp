// SPDX-License-Identifier: Apache-2.0
#include "lib/guestcomm/link/listen.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <csignal>
#include <fstream>
#include <functional>

#include "lib/base/error.hpp"
#include "lib/guestcomm/link/socket_announcement.hpp"
#include "test/lib/base/scratch.hpp"
#include "test/lib/guestcomm/link/hybrid_peer.hpp"

using namespace husk;
using namespace husk::guestcomm;
using namespace husk::test;
using namespace std::chrono_literals;
namespace fs = std::filesystem;

namespace {

struct Ear {
  Scratch scratch;
  fs::path uds_path = scratch.path() / "vsock.sock";
  std::unique_ptr<Announcement> announcement = listen_hybrid(uds_path, ::getuid(), ::getgid());
  GuestAddress address = HybridAddress{uds_path.string()};
  fs::path socket_path() const {
    return uds_path.string() + "_" + std::to_string(announcement->port());
  }
};

sockaddr_un name_of(const fs::path& path) {
  sockaddr_un name{};
  name.sun_family = AF_UNIX;
  std::strncpy(name.sun_path, path.c_str(), sizeof name.sun_path - 1);
  return name;
}

UniqueFd announce(const fs::path& path, const std::string& text) {
  UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const sockaddr_un name = name_of(path);
  REQUIRE(::connect(socket.get(), reinterpret_cast<const sockaddr*>(&name), sizeof name) == 0);
  send_text(socket.get(), text);
  return socket;
}

Errc announcement_failure(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& e) {
    INFO(e.what());
    CHECK(std::string(e.what()).size() < 300);
    return e.code();
  }
  FAIL("nothing was thrown");
  return Errc::internal;
}

}  // namespace

TEST_CASE("announcement: gives the protocols of the agent", "[guestcomm]") {
  const Ear ear;
  const UniqueFd guest = announce(ear.socket_path(), "HUSK-AGENT 9 17\n");
  CHECK(ear.announcement->wait(ear.address, -1, 5s) == ProtocolRange{9, 17});
}

TEST_CASE("announcement: the socket belongs to the device's user and goes with the ear",
          "[guestcomm]") {
  const Scratch scratch;
  fs::path path;
  {
    if (::geteuid() != 0) SKIP("needs root");
    const auto announcement = listen_hybrid(scratch.path() / "vsock.sock", 12345, 12346);
    path = (scratch.path() / "vsock.sock").string() + "_" + std::to_string(announcement->port());
    struct stat info {};
    REQUIRE(::lstat(path.c_str(), &info) == 0);
    CHECK(info.st_uid == 12345);
    CHECK(info.st_gid == 12346);
    CHECK(S_ISSOCK(info.st_mode));
  }
  CHECK_FALSE(fs::exists(path));
}

TEST_CASE("announcement: works in a directory whose path is too long for a socket", "[guestcomm]") {
  const Scratch scratch;
  const fs::path directory = scratch.path() / std::string(150, 'd');
  fs::create_directory(directory);
  const auto announcement = listen_hybrid(directory / "vsock.sock", ::getuid(), ::getgid());
  CHECK(fs::is_socket((directory / "vsock.sock").string() + "_" +
                      std::to_string(announcement->port())));
}

TEST_CASE("announcement: an occupied name is not taken over", "[guestcomm]") {
  const Ear ear;
  CHECK_THROWS_AS(listen_hybrid(ear.uds_path, ::getuid(), ::getgid()), Error);
  CHECK(fs::is_socket(ear.socket_path()));  // the failed one did not remove the first one's
}

TEST_CASE("announcement: a directory that is none, or is led to by a link, is named",
          "[guestcomm]") {
  const Scratch scratch;
  const fs::path missing = scratch.path() / "missing", link = scratch.path() / "link";
  std::ofstream(scratch.path() / "file").put('x');
  fs::create_directory_symlink(scratch.path(), link);
  const auto text_for = [](const fs::path& directory) {
    try {
      listen_hybrid(directory / "vsock.sock", ::getuid(), ::getgid());
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string("nothing was thrown");
  };
  CHECK(text_for(missing) == "open " + missing.string() + ": no such file or directory");
  CHECK(text_for(link) == "open " + link.string() + ": not a directory");
  CHECK(text_for(scratch.path() / "file") ==
        "open " + (scratch.path() / "file").string() + ": not a directory");
  CHECK(std::distance(fs::directory_iterator(scratch.path()), {}) == 2);  // no socket
}

TEST_CASE("announcement: a guest that ends in the middle of its greeting is lost", "[guestcomm]") {
  const Ear ear;
  const std::string text = GENERATE("", "HUSK-AGENT 1 1");
  { const UniqueFd guest = announce(ear.socket_path(), text); }
  CHECK(announcement_failure([&] { ear.announcement->wait(ear.address, -1, 5s); }) ==
        Errc::peer_lost);
}

TEST_CASE("announcement: what follows the greeting is not looked at", "[guestcomm]") {
  const Ear ear;
  const UniqueFd guest = announce(
      ear.socket_path(), "HUSK-AGENT 1 2147483647\nHUSK-AGENT 2 2\n" + std::string(1000, 'x'));
  CHECK(ear.announcement->wait(ear.address, -1, 5s) == ProtocolRange{1, 2147483647});
}

TEST_CASE("announcement: anything else than the greeting is refused", "[guestcomm]") {
  const Ear ear;
  const std::string text = GENERATE(
      as<std::string>{}, "HUSK-AGENT \n", "HUSK-AGENT x\n", "HUSK-AGENT 1x 1\n", "HUSK-AGENT 1\n",
      "HUSK-AGENT 1 \n", "HUSK-AGENT 1 1x\n", "HUSK-AGENT 1 2 3\n", "HUSK-AGENT 2 1\n",
      "HUSK-AGENT  1 1\n", "HUSK-AGENT -1 1\n", "HUSK-AGENT 0 1\n", "HUSK-AGENT 1 99999999999999\n",
      "HUSK-AGENT 1 2147483648\n", "HUSK-AGENT +1 1\n", "HUSK-AGENT 1 1\r\n", "HUSK-AGENT 1 1 \n",
      "\n", "husk-agent 1 1\n", std::string(1000, 'A'));
  const UniqueFd guest = announce(ear.socket_path(), text);
  CHECK(announcement_failure([&] { ear.announcement->wait(ear.address, -1, 5s); }) ==
        Errc::invalid_argument);
}

TEST_CASE("announcement: silence costs the patience and no more", "[guestcomm]") {
  const Ear ear;
  const bool connected = GENERATE(true, false);
  UniqueFd guest;
  if (connected) guest = announce(ear.socket_path(), "HUSK-A");
  const auto start = std::chrono::steady_clock::now();
  CHECK(announcement_failure([&] { ear.announcement->wait(ear.address, -1, 200ms); }) ==
        Errc::timed_out);
  CHECK(std::chrono::steady_clock::now() - start < 2s);
}

TEST_CASE("announcement: the end of the VM ends the waiting at once", "[guestcomm]") {
  const Ear ear;
  const bool connected = GENERATE(true, false);
  UniqueFd guest;
  if (connected) guest = announce(ear.socket_path(), "HUSK-A");
  const pid_t vm = ::fork();
  if (vm == 0) {
    ::usleep(100'000);
    ::_exit(0);
  }
  const UniqueFd pidfd(static_cast<int>(::syscall(SYS_pidfd_open, vm, 0u)));
  REQUIRE(pidfd);
  const auto start = std::chrono::steady_clock::now();
  CHECK(announcement_failure([&] { ear.announcement->wait(ear.address, pidfd.get(), 20s); }) ==
        Errc::peer_lost);
  CHECK(std::chrono::steady_clock::now() - start < 5s);
  ::waitpid(vm, nullptr, 0);
}

namespace {

UniqueFd connect_to(const fs::path& path) {
  UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const sockaddr_un name = name_of(path);
  REQUIRE(::connect(socket.get(), reinterpret_cast<const sockaddr*>(&name), sizeof name) == 0);
  return socket;
}

/// Takes every connection for another guest's, and has the next in its queue before it takes one: however fast
/// the waiting is, a connection is there.
class Beset final : public SocketAnnouncement {
 public:
  Beset(UniqueFd listener, fs::path path)
      : SocketAnnouncement(std::move(listener)), path_(std::move(path)) {
    next_ = connect_to(path_);
  }
  std::uint32_t port() const override { return 0; }
  int dropped = 0;

 private:
  UniqueFd accept_from(const GuestAddress&) override {
    UniqueFd later = connect_to(path_);
    const UniqueFd connection(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (connection) ++dropped;
    next_ = std::move(later);
    return {};
  }
  fs::path path_;
  UniqueFd next_;
};

UniqueFd listen_on(const fs::path& path) {
  UniqueFd listener(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const sockaddr_un name = name_of(path);
  REQUIRE(::bind(listener.get(), reinterpret_cast<const sockaddr*>(&name), sizeof name) == 0);
  REQUIRE(::listen(listener.get(), 128) == 0);
  return listener;
}

}  // namespace

TEST_CASE("announcement: a flood of others' connections stretches no time", "[guestcomm]") {
  const Scratch scratch;
  Beset beset(listen_on(scratch.path() / "s"), scratch.path() / "s");
  const auto start = std::chrono::steady_clock::now();
  CHECK(announcement_failure([&] { beset.wait(VsockAddress{17}, -1, 300ms); }) == Errc::timed_out);
  CHECK(std::chrono::steady_clock::now() - start < 3s);
  CHECK(beset.dropped > 100);
}

TEST_CASE("announcement: the VM's end is seen through a flood of others' connections",
          "[guestcomm]") {
  const Scratch scratch;
  Beset beset(listen_on(scratch.path() / "s"), scratch.path() / "s");
  int ends[2];
  REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
  const UniqueFd gone(ends[0]);
  ::close(ends[1]);  // readable from here on, as a pidfd after the end
  const auto start = std::chrono::steady_clock::now();
  CHECK(announcement_failure([&] { beset.wait(VsockAddress{17}, gone.get(), 20s); }) ==
        Errc::peer_lost);
  CHECK(std::chrono::steady_clock::now() - start < 3s);
}

TEST_CASE("announcement: a guest cannot tell the next VM's port from its own", "[guestcomm]") {
  if (!UniqueFd(::socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0))) SKIP("no AF_VSOCK here");
  std::uint32_t last = 0;
  for (int n = 0; n < 5; ++n) {
    const std::uint32_t port = listen_vsock()->port();
    CHECK(port >= 1024);
    CHECK(std::max(port, last) - std::min(port, last) > 1000);  // fails by chance once in a million
    last = port;
  }
}
