// SPDX-License-Identifier: Apache-2.0
// The way of a container's first process from clone3 to exec.
#pragma once

#include "lib/oci/spec.hpp"

namespace husk::agent {

/// What the agent tells the child, one byte each on the orders pipe.
inline constexpr char order_set_up = 'G';  ///< id maps are written, go on
inline constexpr char order_start = 'S';

struct ChildDescriptors {
  int orders = -1;                                    ///< read end
  int report = -1;                                    ///< write end (report.hpp)
  int stdin_fd = -1, stdout_fd = -1, stderr_fd = -1;  ///< -1: /dev/null
};

/// Sets the container up, reports ready, waits for the start order and becomes the container's
/// program. An error on the way is reported and ends the process with status 127.
[[noreturn]] void run_container_init(const oci::Spec& spec, const ChildDescriptors& fds) noexcept;

}  // namespace husk::agent
