// SPDX-License-Identifier: Apache-2.0
// A child process for what a test cannot undo in its own process, such as entering a namespace.
#pragma once

#include <sys/wait.h>
#include <unistd.h>

#include <functional>
#include <stdexcept>
#include <string>

#include "lib/base/descriptors.hpp"
#include "lib/base/error.hpp"
#include "lib/base/files.hpp"

namespace husk::test {

/// Runs `body` in a child process and waits for its end. Returns "" if the child exits with status 0,
/// otherwise the text of the exception that `body` threw, or the child's wait status in words.
inline std::string thrown_in_child(const std::function<void()>& body) {
  Pipe text = make_pipe();
  const pid_t child = check_sys(::fork(), "fork");
  if (child == 0) {
    try {
      body();
    } catch (const std::exception& e) {
      write_all(text.write_end.get(), e.what());
    }
    ::_exit(0);
  }
  text.write_end.reset();
  const std::string thrown = read_all(text.read_end.get(), 65536, "the child's error");
  int status = 0;
  check_sys(::waitpid(child, &status, 0), "waitpid");
  if (!thrown.empty() || status == 0) return thrown;
  return "the child ended with wait status " + std::to_string(status);
}

/// Throws `what` unless the condition holds: Catch2 does not see a CHECK in a child.
inline void expect(bool condition, const std::string& what) {
  if (!condition) throw std::runtime_error(what);
}

}  // namespace husk::test
