// SPDX-License-Identifier: Apache-2.0
// Requests about one process, and what the agent tells its owner. Without the spec: husk-shim includes them.
//
// Ownership and leases: a process belongs to the connection that had it made, until another one
// owns it. When the connection that it belongs to closes, the agent kills it (SIGKILL); with a
// container's first process goes the whole container. So a process ends with its shim.
#pragma once

#include <cstddef>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "lib/guestcomm/protocol/done.hpp"
#include "lib/guestcomm/protocol/process_ref.hpp"
#include "lib/guestcomm/protocol/stdio.hpp"

namespace husk::guestcomm {

/// husk start, husk exec.
struct StartProcess {
  static constexpr std::string_view method = "start_process";
  using Result = Done;
  ProcessRef process;
};

/// husk-shim: from then on this connection owns it.
struct OwnProcess {
  static constexpr std::string_view method = "own_process";
  using Result = Done;
  ProcessRef process;
};

/// husk-shim.
struct ResizeTerminal {
  static constexpr std::string_view method = "resize_terminal";
  using Result = Done;
  ProcessRef process;
  WindowSize size;
};

/// husk kill, husk-shim.
struct SignalProcess {
  static constexpr std::string_view method = "signal_process";
  using Result = Done;
  ProcessRef process;
  int signal = 0;
  bool all = false;  ///< every process of the container
};

/// Notified once, to the connection that owns the process, after its output was sent to the end and closed.
struct ProcessExited {
  static constexpr std::string_view method = "process_exited";
  ProcessRef process;
  int status = 0;  ///< 0-255: the exit code, or 128 + signal
  /// Whether the guest's kernel has killed processes of the container for want of memory. False for all processes
  /// but a container's first.
  bool out_of_memory = false;
};

/// Lines "NAME=VALUE", which the host picks from.
inline constexpr std::size_t max_notify_bytes = 4096;
/// Notified to the connection that owns a container's first process: what the container said (sd_notify(3)).
struct SdNotify {
  static constexpr std::string_view method = "sd_notify";
  std::string text;  ///< of max_notify_bytes at most; need not be UTF-8 in the guest
};

void to_json(nlohmann::json& json, const StartProcess& v);
void from_json(const nlohmann::json& json, StartProcess& v);
void to_json(nlohmann::json& json, const OwnProcess& v);
void from_json(const nlohmann::json& json, OwnProcess& v);
void to_json(nlohmann::json& json, const ResizeTerminal& v);
void from_json(const nlohmann::json& json, ResizeTerminal& v);
void to_json(nlohmann::json& json, const SignalProcess& v);
void from_json(const nlohmann::json& json, SignalProcess& v);
void to_json(nlohmann::json& json, const ProcessExited& v);
void from_json(const nlohmann::json& json, ProcessExited& v);
void to_json(nlohmann::json& json, const SdNotify& v);
void from_json(const nlohmann::json& json, SdNotify& v);

}  // namespace husk::guestcomm
