// SPDX-License-Identifier: Apache-2.0
#include "shim/system_calls.hpp"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <catch2/catch_test_macros.hpp>
#include <csignal>
#include <filesystem>
#include <string>

#include "lib/base/deadline.hpp"
#include "lib/base/unique_fd.hpp"
#include "shim/oom_mark.hpp"
#include "test/filtered_call.hpp"
#include "test/lib/base/scratch.hpp"

using namespace husk;

namespace {

/// Without the filter each call fails with another errno, or works: the test may be root's.
const test::SystemCall forbidden[] = {
#ifdef SYS_open  // arm64 has openat, unlinkat and clone only
    {"open", SYS_open},
    {"unlink", SYS_unlink},
    {"fork", SYS_fork},
#endif
    {"openat", SYS_openat, {AT_FDCWD}},
    {"openat2", SYS_openat2, {AT_FDCWD}},
    {"mknodat", SYS_mknodat, {AT_FDCWD, 0, S_IFREG | 0644, 0}},
    {"unlinkat", SYS_unlinkat, {AT_FDCWD}},
    {"execve", SYS_execve},
    {"execveat", SYS_execveat, {AT_FDCWD}},
    {"clone", SYS_clone, {SIGCHLD}},
    {"clone3", SYS_clone3},
    {"memfd_create", SYS_memfd_create},
    {"mmap of code", SYS_mmap, {0, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1}},
    {"mprotect to code", SYS_mprotect, {0, 4096, PROT_READ | PROT_EXEC}},
    {"socket(AF_UNIX)", SYS_socket, {AF_UNIX, SOCK_STREAM, 0}},
    {"socket(AF_INET6)", SYS_socket, {AF_INET6, SOCK_STREAM, 0}},
    {"socket(AF_NETLINK)", SYS_socket, {AF_NETLINK, SOCK_RAW, 0}},
    {"socket(AF_VSOCK)", SYS_socket, {AF_VSOCK, SOCK_STREAM, 0}},
    {"bind", SYS_bind, {-1}},
    {"listen", SYS_listen, {-1}},
    {"TIOCSTI", SYS_ioctl, {-1, TIOCSTI, 0}},
    {"kill", SYS_kill, {1, 0}},
    {"ptrace", SYS_ptrace, {0 /* PTRACE_TRACEME */}},
    {"process_vm_readv", SYS_process_vm_readv},
    {"pidfd_getfd", SYS_pidfd_getfd, {-1}},
    {"mount", SYS_mount},
    {"unshare", SYS_unshare},
    {"setns", SYS_setns, {-1}},
    {"bpf", SYS_bpf},
    {"keyctl", SYS_keyctl, {0, -3, 0}},
    {"io_uring_setup", SYS_io_uring_setup, {1}},
    {"prctl", SYS_prctl, {PR_SET_DUMPABLE, 1}}};

void restrict() { shim::restrict_system_calls(shim::OomMark({})); }

}  // namespace

TEST_CASE("system calls: the shim opens, executes and makes nothing", "[shim]") {
  for (const test::SystemCall& call : forbidden) {
    CAPTURE(call.name);
    CHECK(test::filtered(restrict, [&] { return test::error_of(call); }) == EPERM);
  }
}

TEST_CASE("system calls: the shim carries bytes and asks by IPv4", "[shim]") {
  CHECK(test::filtered(restrict, [] {
          return ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0) >= 0 ? 0 : errno;
        }) == 0);
}

/// As husk opens a bundle: a copy of its mount, attached nowhere.
UniqueFd detached(const std::filesystem::path& directory) {
  constexpr unsigned long clone = 1, close_on_exec = O_CLOEXEC;
  return UniqueFd(static_cast<int>(
      ::syscall(SYS_open_tree, AT_FDCWD, directory.c_str(), clone | close_on_exec)));
}

TEST_CASE("system calls: a shim that was taken over does not leave the bundle", "[shim]") {
  if (::geteuid() != 0) SKIP("needs root");
  const test::Scratch scratch;
  std::filesystem::create_directory(scratch.path() / "bundle");
  const UniqueFd bundle = detached(scratch.path() / "bundle");
  REQUIRE(bundle);
  CHECK(::mknodat(bundle.get(), "../x", S_IFREG | 0644, 0) == 0);
  CHECK_FALSE(std::filesystem::exists(scratch.path() / "x"));
  CHECK(std::filesystem::exists(scratch.path() / "bundle/x"));
}

TEST_CASE("system calls: in the bundle the shim makes the file oom, and no other", "[shim]") {
  const test::Scratch bundle;
  if (::geteuid() != 0) SKIP("needs root");
  UniqueFd opened = detached(bundle.path());
  REQUIRE(opened);
  const int directory = opened.get();
  shim::OomMark mark{std::move(opened)};
  CHECK(test::filtered([&] { shim::restrict_system_calls(mark); },
                       [&] {
                         mark.make();
                         mark.make();  // it is there
                         return ::mknodat(directory, "x", S_IFREG | 0644, 0) == 0 ? 0 : errno;
                       }) == EPERM);
  CHECK(std::filesystem::is_regular_file(bundle.path() / "oom"));
  CHECK_FALSE(std::filesystem::exists(bundle.path() / "x"));
}

TEST_CASE("system calls: the keeper is told of a kill, and its answer awaited", "[shim]") {
  std::array<int, 2> ends{};
  REQUIRE(::socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, ends.data()) == 0);
  const UniqueFd keeper(ends[1]);
  shim::OomMark mark{{}, UniqueFd(ends[0]), "c1"};
  const auto make = [&](std::chrono::milliseconds patience) {
    return test::filtered([&] { shim::restrict_system_calls(mark); },
                          [&] {
                            const Deadline soon(patience / 2);
                            mark.make_last(patience);
                            return soon.passed() ? ETIME : 0;
                          });
  };
  SECTION("that answers") {
    REQUIRE(::send(keeper.get(), "", 1, 0) == 1);
    CHECK(make(std::chrono::seconds{60}) == 0);
  }
  SECTION("that does not") { CHECK(make(std::chrono::milliseconds{200}) == ETIME); }
  std::array<char, 10> told{};
  CHECK(::recv(keeper.get(), told.data(), told.size(), MSG_DONTWAIT) == 2);
  CHECK(std::string(told.data()) == "c1");
}
