// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/resource.h>

namespace husk {

/// Lowers the soft and the hard limit of this process to `most`; a lower one stays. Throws system.
void lower_limit(__rlimit_resource resource, rlim_t most);

}  // namespace husk
