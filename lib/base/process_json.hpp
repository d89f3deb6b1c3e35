// SPDX-License-Identifier: Apache-2.0
// Processes as the records on disk and the messages between husk's processes have them: {"pid": 7, "startTime": 8}.
#pragma once

#include <nlohmann/json.hpp>

#include "lib/base/json_integer.hpp"
#include "lib/base/process.hpp"

namespace husk {

inline void to_json(nlohmann::json& json, const ProcessIdentity& process) {
  json = {{"pid", process.pid}, {"startTime", process.start_time}};
}
inline void from_json(const nlohmann::json& json, ProcessIdentity& process) {
  read_integer(json.at("pid"), process.pid);
  read_integer(json.at("startTime"), process.start_time);
}

}  // namespace husk
