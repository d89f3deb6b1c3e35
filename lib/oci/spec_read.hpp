// SPDX-License-Identifier: Apache-2.0
// Shared by the files that read config.json. Private to lib/oci.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "lib/oci/spec.hpp"

namespace husk::oci {
void read_value(const nlohmann::json& json, const std::string& path, IdMapping& mapping);
void read_value(const nlohmann::json& json, const std::string& path, Linux& linux_section);
void read_value(const nlohmann::json& json, const std::string& path, Resources& resources);
}  // namespace husk::oci
