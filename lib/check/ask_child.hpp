// SPDX-License-Identifier: Apache-2.0
// A limit on a call that has none: a look at a file system whose server does not answer (NFS, FUSE).
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>

namespace husk::check {

/// Calls `question` in a child process, and returns the text that `question` returns, of at most 64 KiB. Empty: the child
/// has not answered within `patience`, and is killed. A child that the kernel does not let end is left to init. Throws
/// internal where the child ends without an answer, system, and when cancelled. Call while the process has one thread.
std::optional<std::string> ask_child(const std::function<std::string()>& question,
                                     std::chrono::milliseconds patience);

}  // namespace husk::check
