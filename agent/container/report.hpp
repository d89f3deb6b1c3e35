// SPDX-License-Identifier: Apache-2.0
// What a container's first process tells the agent before it becomes the container's program: one
// record per write on a pipe that exec closes.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "lib/base/error.hpp"

namespace husk::agent {

void report_ready(int fd);
/// Last before exec: without it a child that was killed on its way there, in a startContainer hook for
/// one, closes the pipe just as exec does.
void report_executing(int fd);
/// Cut to what a pipe takes in one piece. Never throws: it is the last act of a failing child.
void report_error(int fd, const Error& error) noexcept;

/// The report in the bytes that were read so far.
struct Report {
  bool ready = false;
  bool executing = false;
  std::optional<Error> error;
};
/// Bytes that are no record count as an internal error: they come from our own code before exec.
Report parse_report(std::string_view bytes);

}  // namespace husk::agent
