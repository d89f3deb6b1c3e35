// SPDX-License-Identifier: Apache-2.0
// The log of a guest's console, where the hypervisor writes the console into a FIFO (Cloud Hypervisor; of QEMU's, libvirt's
// virtlogd takes care).
#pragma once

#include <sys/types.h>

#include <cstddef>

#include "lib/base/unique_fd.hpp"

namespace husk::keeper {

/// A log that would grow beyond it loses its older half.
inline constexpr std::size_t max_console_log_bytes = 256U << 10U;

/// Appends what comes out of the FIFO, in a child: a guest may write without end. Ends with the keeper, or before.
class ConsoleLog {
 public:
  /// Both are taken over: a FIFO that is open for reading and writing, so that reading never ends, and a regular file that is
  /// too. Throws system.
  ConsoleLog(UniqueFd fifo, UniqueFd file);
  ConsoleLog(const ConsoleLog&) = delete;
  ConsoleLog& operator=(const ConsoleLog&) = delete;
  ~ConsoleLog();

 private:
  pid_t pid_ = -1;
};

}  // namespace husk::keeper
