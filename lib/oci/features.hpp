// SPDX-License-Identifier: Apache-2.0
// The output of `husk features` (runtime-spec features.md). Claims only what the guest honours.
#pragma once

#include <nlohmann/json_fwd.hpp>

namespace husk::oci {
nlohmann::ordered_json features();
}  // namespace husk::oci
