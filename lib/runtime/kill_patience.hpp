// SPDX-License-Identifier: Apache-2.0
// How long husk kill waits for the guest, and for the shim.
#pragma once

#include <chrono>

namespace husk::runtime {

struct KillPatience {
  using Limit = std::chrono::milliseconds;
  Limit ask = std::chrono::seconds{5};          ///< for the guest's answer
  Limit ask_to_kill = std::chrono::seconds{2};  ///< for the answer to SIGKILL, which is advice only
  Limit end = std::chrono::seconds{3};    ///< for the shim to carry what its container wrote last
  Limit ended = std::chrono::seconds{1};  ///< between the guest's knowing of an end and the shim's
  Limit forced_end = std::chrono::seconds{5};  ///< for the shim to end after SIGKILL
};

}  // namespace husk::runtime
