// SPDX-License-Identifier: Apache-2.0
// Terminals on the host: the one that stands for the guest's, whose master the caller gets through
// its console socket, and the caller's own in the foreground. Both are raw: line discipline,
// echo and signals are the guest's terminal's.
#pragma once

#include <termios.h>

#include <filesystem>
#include <optional>

#include "lib/base/unique_fd.hpp"
#include "lib/guestcomm/protocol/stdio.hpp"
#include "lib/oci/spec.hpp"
#include "lib/runtime/caller/requests.hpp"

namespace husk::runtime {

/// Throws invalid_argument where terminal and console socket do not fit: a detached process with a
/// terminal needs one, and nobody else may have one.
void check_streams(const StreamsRequest& request, bool terminal);

/// A pseudo-terminal of the host's.
class HostTerminal {
 public:
  explicit HostTerminal(guestcomm::WindowSize size);  ///< throws system
  int slave() const noexcept { return slave_.get(); }
  /// The master over the caller's socket, as runc sends it: one message with its name. Closes it
  /// here. Throws system, timed_out.
  void send_master(const std::filesystem::path& console_socket);

 private:
  UniqueFd master_, slave_;
};

inline std::optional<int> slave_of(const std::optional<HostTerminal>& terminal) {
  return terminal ? std::optional(terminal->slave()) : std::nullopt;
}

/// The size of this process's terminal; zeros if it has none.
guestcomm::WindowSize find_caller_window();

/// The size of a new process's terminal: its own wish (process.consoleSize), or the caller's. Empty:
/// it is to have none. Pure.
std::optional<guestcomm::WindowSize> plan_window(const oci::Process& process,
                                                 guestcomm::WindowSize caller);

/// The terminal on standard input, if it is one, is raw as long as this exists.
class RawTerminal {
 public:
  RawTerminal();
  RawTerminal(const RawTerminal&) = delete;
  RawTerminal& operator=(const RawTerminal&) = delete;
  ~RawTerminal();

 private:
  std::optional<termios> former_;
};

}  // namespace husk::runtime
