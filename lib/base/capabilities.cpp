// SPDX-License-Identifier: Apache-2.0
#include "lib/base/capabilities.hpp"

#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "lib/base/error.hpp"

namespace husk {

void drop_bounding_set() { keep_in_bounding_set({}); }

/// Stops at the first number that the kernel does not know.
void keep_in_bounding_set(std::span<const int> kept) {
  for (int capability = 0; ::prctl(PR_CAPBSET_READ, capability, 0, 0, 0) >= 0; ++capability)
    if (std::ranges::find(kept, capability) == kept.end())
      check_sys(::prctl(PR_CAPBSET_DROP, capability, 0, 0, 0), "drop a bounding capability");
}

void drop_inheritable() {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  std::array<__user_cap_data_struct, _LINUX_CAPABILITY_U32S_3> sets{};
  check_sys(::syscall(SYS_capget, &header, sets.data()), "read capabilities");
  for (__user_cap_data_struct& set : sets) set.inheritable = 0;
  check_sys(::syscall(SYS_capset, &header, sets.data()), "drop inheritable capabilities");
  check_sys(::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0),
            "drop ambient capabilities");
}

void drop_capabilities() {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  const std::array<__user_cap_data_struct, _LINUX_CAPABILITY_U32S_3> none{};
  check_sys(::syscall(SYS_capset, &header, none.data()), "drop capabilities");
}

}  // namespace husk
