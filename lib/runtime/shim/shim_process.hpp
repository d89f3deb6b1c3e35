// SPDX-License-Identifier: Apache-2.0
// Making husk-shim: in its namespaces, its cgroup, on the container's root, with the
// caller's streams.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <filesystem>
#include <optional>

#include "lib/base/unique_fd.hpp"
#include "lib/guestcomm/protocol/process_ref.hpp"
#include "lib/guestcomm/protocol/stdio.hpp"
#include "lib/runtime/host/host_cgroup.hpp"
#include "lib/runtime/plan/shim_plan.hpp"

namespace husk::runtime {

/// How long husk waits for the shim.
struct ShimPatience {
  /// The child opens files of the caller's and of the image's, which may be on a FUSE that does not answer.
  std::chrono::milliseconds set_up = std::chrono::seconds{30};
  std::chrono::milliseconds hand_over = std::chrono::seconds{30};
};

/// A shim that waits for its hand-over. Ended and reaped on destruction unless kept.
class ShimProcess {
 public:
  /// program: husk-shim. terminal: what becomes its controlling terminal and its standard streams,
  /// instead of the caller's. Returns once it runs. Throws what went wrong on the way, in the child
  /// too; timed_out after patience.set_up, and when cancelled. Until it runs, it ends with the calling process.
  ShimProcess(const std::filesystem::path& program, const ShimPlan& plan, HostCgroup& cgroup,
              std::optional<int> terminal, const ShimPatience& patience = {});
  ShimProcess(const ShimProcess&) = delete;
  ShimProcess& operator=(const ShimProcess&) = delete;
  ~ShimProcess();

  pid_t pid() const noexcept { return pid_; }
  UniqueFd open_pidfd() const;  ///< also of one that has ended. Throws system

  /// control: a connection to the agent, after hello. Returns when the agent knows the shim as the
  /// process's owner. notify: where it passes on what the process says by sd_notify(3), or -1; bundle: the
  /// directory for the file "oom", or -1; kills: the keeper's socket for kills, or -1.
  void hand_over(const guestcomm::ProcessRef& process, int control,
                 const guestcomm::Stdio<int>& stdio, int notify = -1, int bundle = -1,
                 int kills = -1) const;

  void keep() noexcept { keep_ = true; }

 private:
  void wait_for_exec(int error_pipe);
  pid_t pid_ = -1;
  UniqueFd handoff_;
  ShimPatience patience_;
  bool keep_ = false;
};

}  // namespace husk::runtime
