// SPDX-License-Identifier: Apache-2.0
#include "keeper/file_server.hpp"

#include <linux/capability.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <set>

#include "lib/base/descriptors.hpp"
#include "lib/base/error.hpp"
#include "lib/base/files.hpp"
#include "lib/base/process.hpp"
#include "lib/base/unix_address.hpp"
#include "test/keeper/kept_vm.hpp"
#include "test/lib/base/scratch.hpp"

using namespace husk;
using namespace husk::keeper;
using namespace std::chrono_literals;
using Catch::Matchers::ContainsSubstring;

namespace {

/// A place where a hypervisor would connect.
class Place {
 public:
  Place() : log_(check_sys(::memfd_create("log", MFD_CLOEXEC), "memfd")) {
    check_sys(::bind(listener_.get(), reinterpret_cast<const sockaddr*>(&name_), sizeof name_),
              "bind");
    check_sys(::listen(listener_.get(), 1), "listen");
  }
  int socket() const { return listener_.get(); }
  int log() const { return log_.get(); }
  UniqueFd connect() const {
    UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    check_sys(::connect(socket.get(), reinterpret_cast<const sockaddr*>(&name_), sizeof name_),
              "connect");
    return socket;
  }
  std::string said() const {
    std::string text(4096, '\0');
    const ssize_t count = ::pread(log_.get(), text.data(), text.size(), 0);
    text.resize(static_cast<std::size_t>(count));
    return text;
  }

 private:
  test::Scratch scratch_;
  sockaddr_un name_ = unix_address(scratch_.path() / "s");
  UniqueFd listener_{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  UniqueFd log_;
};

/// A program that has the socket's argument as its last one.
handoff::FileServerSetup script(const std::string& commands) {
  return {.program = "/bin/sh", .arguments = {"-c", commands, "sh"}, .max_open_files = 100};
}

bool ends_within(int pidfd, std::chrono::milliseconds patience) {
  pollfd polled{pidfd, POLLIN, 0};
  return ::poll(&polled, 1, static_cast<int>(patience.count())) > 0;
}

std::set<std::string> descriptors_of(int pidfd) {
  std::set<std::string> numbers;
  const std::string pid = std::to_string(identify_pidfd(pidfd).value().pid);
  for (const auto& one : std::filesystem::directory_iterator("/proc/" + pid + "/fd"))
    numbers.insert(one.path().filename());
  return numbers;
}

std::string mask(std::initializer_list<int> capabilities) {
  unsigned long long bits = 0;
  for (const int one : capabilities) bits |= 1ULL << static_cast<unsigned>(one);
  std::string text(16, '0');
  for (std::size_t digit = 16; digit-- > 0; bits >>= 4U)
    text[digit] = "0123456789abcdef"[bits & 15U];
  return text;
}

}  // namespace

TEST_CASE("file server: starts when somebody connects, with what it needs alone", "[keeper]") {
  if (::geteuid() != 0) SKIP("needs root");
  const Place place;
  const UniqueFd other(::dup(STDERR_FILENO));  // not close-on-exec
  const FileServer server(script("echo argument $1; ulimit -n; ulimit -c; ls /proc/self/fd; "
                                 "grep -E 'Cap|NoNewPrivs' /proc/self/status; env"),
                          place.socket(), place.log());
  CHECK_FALSE(ends_within(server.pidfd(), 200ms));
  CHECK(place.said().empty());
  CHECK(descriptors_of(server.pidfd()) == std::set<std::string>{"0", "1", "2", "3"});
  const UniqueFd hypervisor = place.connect();
  REQUIRE(ends_within(server.pidfd(), 10s));
  const std::string said = place.said();
  // ls has opened the folder as 4.
  CHECK_THAT(said,
             ContainsSubstring("argument --fd=3\n100\n0\n0\n1\n2\n3\n4\nCapInh:\t" + mask({})));
  for (const char* set : {"CapBnd:\t", "CapPrm:\t", "CapEff:\t"})
    CHECK_THAT(said, ContainsSubstring(set + mask({CAP_CHOWN, CAP_DAC_OVERRIDE, CAP_FOWNER,
                                                   CAP_FSETID, CAP_SETGID, CAP_SETUID, CAP_SETPCAP,
                                                   CAP_SYS_ADMIN, CAP_MKNOD, CAP_SETFCAP})));
  CHECK_THAT(said, ContainsSubstring("NoNewPrivs:\t1"));
  CHECK(said.find("PATH=/usr") == std::string::npos);
}

TEST_CASE("file server: is gone with who waits for it, child included", "[keeper]") {
  if (::geteuid() != 0) SKIP("needs root");
  const Place place;
  const UniqueFd hypervisor = place.connect();
  pid_t child = 0;
  {
    const FileServer server(script("sleep 1000 & echo $!; wait"), place.socket(), place.log());
    REQUIRE(test::comes_true([&] { return !place.said().empty(); }));
    child = std::stoi(place.said());
  }
  const auto left = identify_process(child);
  CHECK((!left || wait_for_end(*left, 5s)));
}

TEST_CASE("file server: one that waits ends with its keeper, one that serves does not",
          "[keeper]") {
  if (::geteuid() != 0) SKIP("needs root");
  const Place place;
  const Pipe told = make_pipe();
  const auto start = [&] {
    const pid_t keeper = ::fork();
    if (keeper == 0) {
      const FileServer server(script("echo serves; exec sleep 1000"), place.socket(), place.log());
      write_all(told.write_end.get(), "x");
      ::pause();
    }
    char byte = 0;
    REQUIRE(::read(told.read_end.get(), &byte, 1) == 1);
    return std::pair(keeper, children_of(identify_process(keeper).value()).at(0));
  };
  const auto [waiting_keeper, waiting] = start();
  ::kill(waiting_keeper, SIGKILL);
  ::waitpid(waiting_keeper, nullptr, 0);
  CHECK(wait_for_end(waiting, 5s));
  const UniqueFd hypervisor = place.connect();
  const auto [serving_keeper, serving] = start();
  REQUIRE(test::comes_true([&] { return !place.said().empty(); }));
  ::kill(serving_keeper, SIGKILL);
  ::waitpid(serving_keeper, nullptr, 0);
  CHECK_FALSE(wait_for_end(serving, 200ms));
  ::kill(serving.pid, SIGKILL);
}

TEST_CASE("file server: a program that cannot be executed is named in the log", "[keeper]") {
  if (::geteuid() != 0) SKIP("needs root");
  const Place place;
  const UniqueFd hypervisor = place.connect();
  const FileServer server({.program = "/no/virtiofsd", .arguments = {}, .max_open_files = 100},
                          place.socket(), place.log());
  REQUIRE(ends_within(server.pidfd(), 10s));
  CHECK(place.said() == "execute /no/virtiofsd: no such file or directory\n");
}
