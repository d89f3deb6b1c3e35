// SPDX-License-Identifier: Apache-2.0
#include "shim/privileges.hpp"

#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/base/error.hpp"

namespace husk::shim {

void drop_privileges() {
  check_sys(::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "set no_new_privs");
  // The bounding set first: dropping from it needs CAP_SETPCAP. Stops at the first number the
  // kernel does not know.
  for (int capability = 0; ::prctl(PR_CAPBSET_READ, capability, 0, 0, 0) >= 0; ++capability) {
    check_sys(::prctl(PR_CAPBSET_DROP, capability, 0, 0, 0), "drop a bounding capability");
  }
  __user_cap_header_struct header{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  const __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3]{};
  check_sys(::syscall(SYS_capset, &header, none), "drop capabilities");
  const rlimit no_core{.rlim_cur = 0, .rlim_max = 0};
  check_sys(::setrlimit(RLIMIT_CORE, &no_core), "limit core dumps");
}

}  // namespace husk::shim
