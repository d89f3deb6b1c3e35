// SPDX-License-Identifier: Apache-2.0
// Passes the container's sd_notify(3) messages on to the caller's socket.
#pragma once

#include <string>
#include <string_view>

#include "lib/base/unique_fd.hpp"

namespace husk::shim {

/// The lines that mean the same on this side: READY, RELOADING, STOPPING, STATUS, ERRNO, BUSERROR,
/// WATCHDOG, EXTEND_TIMEOUT_USEC. Not MAINPID, which is a process of the guest's and would be taken
/// for one of the host's, nor what comes with descriptors.
std::string notify_lines(std::string_view text);

class NotifyRelay {
 public:
  explicit NotifyRelay(UniqueFd caller) : caller_(std::move(caller)) {}
  /// Never waits: what the caller does not take is lost.
  void pass_on(std::string_view text) const noexcept;

 private:
  UniqueFd caller_;  ///< connected; empty: nobody wants to know
};

}  // namespace husk::shim
