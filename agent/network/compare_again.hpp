// SPDX-License-Identifier: Apache-2.0
// Changes beside others who change the same: the kernel makes addresses and routes from router advertisements,
// and a container with CAP_NET_ADMIN what it likes.
#pragma once

#include <cerrno>
#include <concepts>

#include "lib/base/error.hpp"

namespace husk::agent {

/// Calls `apply`, which loads what is there, compares, and changes the difference. Calls it again when something
/// that it adds exists by then: what is as wanted is left alone the next time, and what is not is replaced.
/// Throws what `apply` throws; EEXIST after five attempts.
template <std::invocable F>
void compare_again_if_exists(F&& apply) {
  constexpr int attempts = 5;
  for (int attempt = 1;; ++attempt) {
    try {
      return apply();
    } catch (const Error& error) {
      if (error.sys_errno() != EEXIST || attempt == attempts) throw;
    }
  }
}

}  // namespace husk::agent
