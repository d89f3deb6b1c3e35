// SPDX-License-Identifier: Apache-2.0
#include "lib/runtime/vm/share_socket.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers.hpp>
#include <cerrno>
#include <csignal>

#include "lib/base/error.hpp"
#include "lib/base/files.hpp"
#include "test/lib/base/scratch.hpp"

using namespace husk;
using namespace husk::runtime;

TEST_CASE("share socket: is the hypervisor's alone", "[runtime][root]") {
  if (::geteuid() != 0) SKIP("needs root");
  const test::Scratch scratch;
  const auto path = scratch.path() / "share.sock";
  const UniqueFd socket = listen_for_hypervisor(path, 12345);
  struct stat info {};
  REQUIRE(::lstat(path.c_str(), &info) == 0);
  CHECK(info.st_mode == (S_IFSOCK | S_IRUSR | S_IWUSR));
  CHECK(info.st_uid == 12345);
  CHECK_THROWS_WITH(listen_for_hypervisor(path, 12345),
                    "socket " + path.string() + ": bind: address already in use");
}

TEST_CASE("log of virtiofsd: its beginning is one line, and it cannot grow", "[runtime]") {
  const UniqueFd log = make_bounded_log();
  CHECK(beginning_of_log(log.get()).empty());
  write_all(log.get(), "one\n\x1b[1mtwo\n\n");
  CHECK(beginning_of_log(log.get()) == "one | [1mtwo");
  const std::string much(64U << 10, 'y');
  ssize_t count = 0;
  while ((count = ::write(log.get(), much.data(), much.size())) > 0) {
  }
  CHECK(errno == EPERM);
  CHECK(::ftruncate(log.get(), 1 << 20) != 0);
  CHECK(beginning_of_log(log.get()) == "one | [1mtwo |  | " + std::string(500 - 13, 'y'));
}
