// SPDX-License-Identifier: Apache-2.0
#include "lib/base/resource_limit.hpp"

#include <algorithm>

#include "lib/base/error.hpp"

namespace husk {

void lower_limit(__rlimit_resource resource, rlim_t most) {
  rlimit limits{};
  check_sys(::getrlimit(resource, &limits), "read a limit");
  limits.rlim_max = std::min(limits.rlim_max, most);
  limits.rlim_cur = limits.rlim_max;
  check_sys(::setrlimit(resource, &limits), "set a limit");
}

void lift_limit(__rlimit_resource resource) {
  const rlimit none{RLIM_INFINITY, RLIM_INFINITY};
  check_sys(::setrlimit(resource, &none), "lift a limit");
}

}  // namespace husk
