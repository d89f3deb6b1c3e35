// SPDX-License-Identifier: Apache-2.0
#include "lib/base/error.hpp"

#include <catch2/catch_test_macros.hpp>
#include <functional>
#include <stdexcept>

using namespace husk;

namespace {

Error thrown_by(const std::function<void()>& f) {
  try {
    f();
  } catch (const Error& e) {
    return e;
  }
  FAIL("nothing was thrown");
  return {Errc::internal, ""};
}

}  // namespace

TEST_CASE("error: the kernel's texts are those of a Go program", "[base]") {
  CHECK(errno_text(ENOENT) == "no such file or directory");
  CHECK(errno_text(EIO) == "input/output error");
  CHECK(errno_text(ESRCH) == "no such process");
  CHECK(errno_text(7777) == "unknown error 7777");
}

TEST_CASE("error: steps stand in front of the text, the outermost first; kind and errno stay",
          "[base]") {
  const Error e = thrown_by(
      [] { step("create c1", [] { step("mount /proc", [] { throw_errno("fsopen", EPERM); }); }); });
  CHECK(std::string(e.what()) == "create c1: mount /proc: fsopen: operation not permitted");
  CHECK(e.code() == Errc::system);
  CHECK(e.sys_errno() == EPERM);
  CHECK(thrown_by([] { step("a", [] { throw Error(Errc::not_found, "b"); }); }).code() ==
        Errc::not_found);
  CHECK(step("unused", [] { return 5; }) == 5);
  // An exception of another type passes as it is.
  CHECK_THROWS_AS(step("a", [] { throw std::out_of_range("b"); }), std::out_of_range);
}

TEST_CASE("check_sys: only -1 is a failure, of any width", "[base]") {
  errno = ENOSPC;
  CHECK(check_sys(0, "write") == 0);
  CHECK(check_sys(-2, "write") == -2);
  CHECK(check_sys(1L << 40, "write") == 1L << 40);
  const Error e = thrown_by([] { check_sys(-1L, std::string("write /a")); });
  CHECK(std::string(e.what()) == "write /a: no space left on device");
  CHECK(e.sys_errno() == ENOSPC);
}
