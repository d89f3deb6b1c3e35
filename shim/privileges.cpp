// SPDX-License-Identifier: Apache-2.0
#include "shim/privileges.hpp"

#include <sys/prctl.h>
#include <sys/resource.h>

#include "lib/base/capabilities.hpp"
#include "lib/base/error.hpp"

namespace husk::shim {

void drop_privileges() {
  check_sys(::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "set no_new_privs");
  drop_bounding_set();  // needs CAP_SETPCAP, so before the capabilities
  drop_capabilities();
  const rlimit no_core{.rlim_cur = 0, .rlim_max = 0};
  check_sys(::setrlimit(RLIMIT_CORE, &no_core), "limit core dumps");
}

}  // namespace husk::shim
