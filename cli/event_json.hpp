// SPDX-License-Identifier: Apache-2.0
// The lines of `husk events`: runc's types/events.go, its keys in their order there.
#pragma once

#include <string>

#include "lib/runtime/runtime.hpp"

namespace husk::cli {

/// {"type":"stats","id":ID,"data":{...}} and a newline. Disks, huge pages and caches are the host's: empty.
/// "vm", which runc has not, is last: {"memory":BYTES,"cpu":NANOSECONDS,"containers":N}, of the VM on the host.
std::string statistics_line(const std::string& id, const runtime::Runtime::Statistics& all);
/// {"type":"oom","id":ID} and a newline.
std::string oom_line(const std::string& id);

}  // namespace husk::cli
