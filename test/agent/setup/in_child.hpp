// SPDX-License-Identifier: Apache-2.0
// For tests: what changes a whole process for good is done in a child of the test.
#pragma once

#include <sched.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <catch2/catch_test_macros.hpp>
#include <string>

#include "lib/base/error.hpp"
#include "lib/base/files.hpp"
#include "lib/base/unique_fd.hpp"

namespace husk::test {

/// What `doing` returns in a child of its own; "error: ..." for what is thrown there.
template <class F>
std::string in_child(F&& doing) {
  std::array<int, 2> ends{};
  check_sys(::pipe(ends.data()), "pipe");
  const UniqueFd in{ends[0]};
  UniqueFd out{ends[1]};
  const pid_t child = check_sys(::fork(), "fork");
  if (child == 0) {
    std::string said;
    try {
      said = doing();
    } catch (const std::exception& error) {
      said = std::string("error: ") + error.what();
    }
    write_all(out.get(), said);
    ::_exit(0);
  }
  out.reset();
  std::string said = read_all(in.get(), 1u << 20, "child");
  int status = -1;
  check_sys(::waitpid(child, &status, 0), "waitpid");
  REQUIRE(status == 0);
  return said;
}

/// The same, in namespaces of the child's own; what is mounted there is seen by nobody else.
template <class F>
std::string in_own_namespaces(int flags, F&& doing) {
  return in_child([&] {
    check_sys(::unshare(flags), "unshare");
    if ((flags & CLONE_NEWNS) != 0)
      check_sys(::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr), "make / private");
    return doing();
  });
}

/// A line of /proc/self/status, without its name.
inline std::string status_line(const std::string& name) {
  const std::string all = read_file("/proc/self/status", 1u << 16);
  const std::size_t begin = all.find("\n" + name + ":\t") + name.size() + 3;
  return all.substr(begin, all.find('\n', begin) - begin);
}

}  // namespace husk::test

#define SKIP_UNLESS_ROOT() \
  if (::geteuid() != 0) SKIP("needs root")
