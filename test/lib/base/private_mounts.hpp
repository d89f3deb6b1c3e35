// SPDX-License-Identifier: Apache-2.0
// A mount namespace for what a test mounts.
#pragma once

#include <sched.h>
#include <sys/mount.h>

#include "lib/base/error.hpp"

namespace husk::test {

/// Puts this thread into a new mount namespace. What is mounted in it does not show outside of it, and
/// ends with the last process in it. Needs CAP_SYS_ADMIN. Throws system.
inline void enter_private_mounts() {
  check_sys(::unshare(CLONE_NEWNS), "unshare the mount namespace");
  check_sys(::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr), "make mounts private");
}

}  // namespace husk::test
