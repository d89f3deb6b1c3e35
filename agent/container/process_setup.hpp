// SPDX-License-Identifier: Apache-2.0
// The way of a process from clone3 to exec, as far as it is the same for a container's first
// process and for one that joins it later. In the child.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "agent/setup/seccomp.hpp"
#include "lib/base/error.hpp"
#include "lib/guestcomm/protocol/stdio.hpp"
#include "lib/oci/spec.hpp"

namespace husk::agent {

/// The agent's orders to the child, one byte each on the orders pipe.
inline constexpr char order_set_up = 'G';  ///< id maps are written, go on
inline constexpr char order_start = 'S';

struct ChildDescriptors {
  int orders = -1;  ///< read end
  int report = -1;  ///< write end (report.hpp)
  /// For a terminal the stream is a socket, over which the master goes to the agent.
  guestcomm::Stdio<int> stdio;
  int first = -1;                ///< pidfd of the container's first process, for one that joins it
  std::vector<int> joined = {};  ///< namespaces that a container's first process joins
};

/// The program that is executed in the end. All but its path is complete before a filter is loaded.
class Program {
 public:
  /// Does ahead, in the container's root, what would need more system calls later.
  void prepare(const oci::Process& process, const std::optional<oci::Seccomp>& seccomp);
  /// Loads the filter, if there is one.
  void load_filter() const;
  /// With the user's rights, in the container's root. Throws not_found in runc's words.
  void find();
  /// Returns only if that failed: why.
  Error execute();

 private:
  std::string path_;
  std::vector<std::string> arguments_, environment_;
  std::vector<char*> argv_, envp_;
  std::optional<SeccompProgram> filter_;  ///< kept to the end: freeing it may call the kernel
};

/// The whole way: `enter` brings the child from the agent's view to the container's; what follows
/// is what runc does then (standard_init_linux.go, setns_init_linux.go), up to exec. Reports ready,
/// waits for the start order. An error on the way is reported, and ends the process with status
/// 127. `started`: between the order and exec.
[[noreturn]] void run_child(const oci::Process& process, const oci::Linux& config,
                            const ChildDescriptors& fds, const std::function<void()>& enter,
                            const std::function<void()>& started) noexcept;

/// Gives the process a terminal of the container's, and the agent its master; false if it is to
/// have none. root_fd: the container's root. A part of `enter`.
bool take_terminal(int root_fd, const oci::Process& process, const ChildDescriptors& fds);

}  // namespace husk::agent
