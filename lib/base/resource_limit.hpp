// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/resource.h>

namespace husk {

/// Lowers the soft and the hard limit of this process to `most`; a lower one stays. Throws system.
void lower_limit(__rlimit_resource resource, rlim_t most);

/// Lifts a limit that this process has from whoever started it. Needs CAP_SYS_RESOURCE. Throws system.
void lift_limit(__rlimit_resource resource);

}  // namespace husk
