// SPDX-License-Identifier: Apache-2.0
#include "lib/guestcomm/link/announcement.hpp"

#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <csignal>
#include <functional>

#include "lib/base/error.hpp"
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

UniqueFd announce(const fs::path& path, const std::string& text) {
  UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un name{};
  name.sun_family = AF_UNIX;
  std::strncpy(name.sun_path, path.c_str(), sizeof name.sun_path - 1);
  REQUIRE(::connect(socket.get(), reinterpret_cast<const sockaddr*>(&name), sizeof name) == 0);
  send_text(socket.get(), text);
  return socket;
}

Errc failure_of(const std::function<void()>& action) {
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

TEST_CASE("announcement: gives the agent's protocol", "[guestcomm]") {
  const Ear ear;
  const UniqueFd guest = announce(ear.socket_path(), "HUSK-AGENT 17\n");
  CHECK(ear.announcement->wait(ear.address, -1, 5s) == 17);
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

TEST_CASE("announcement: anything else than the greeting is refused", "[guestcomm]") {
  const Ear ear;
  const std::string text =
      GENERATE(as<std::string>{}, "HUSK-AGENT \n", "HUSK-AGENT x\n", "HUSK-AGENT 1x\n",
               "HUSK-AGENT -1\n", "HUSK-AGENT 0\n", "HUSK-AGENT 99999999999999999\n", "\n",
               "husk-agent 1\n", std::string(1000, 'A'));
  const UniqueFd guest = announce(ear.socket_path(), text);
  CHECK(failure_of([&] { ear.announcement->wait(ear.address, -1, 5s); }) == Errc::invalid_argument);
}

TEST_CASE("announcement: silence costs the patience and no more", "[guestcomm]") {
  const Ear ear;
  const bool connected = GENERATE(true, false);
  UniqueFd guest;
  if (connected) guest = announce(ear.socket_path(), "HUSK-A");
  const auto start = std::chrono::steady_clock::now();
  CHECK(failure_of([&] { ear.announcement->wait(ear.address, -1, 200ms); }) == Errc::timed_out);
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
  CHECK(failure_of([&] { ear.announcement->wait(ear.address, pidfd.get(), 20s); }) ==
        Errc::peer_lost);
  CHECK(std::chrono::steady_clock::now() - start < 5s);
  ::waitpid(vm, nullptr, 0);
}
