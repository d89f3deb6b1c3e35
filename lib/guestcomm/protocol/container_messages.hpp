// SPDX-License-Identifier: Apache-2.0
// Requests about a container as a whole. See also create_messages.hpp, process_list.hpp and statistics.hpp.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "lib/guestcomm/protocol/done.hpp"
#include "lib/oci/spec.hpp"

namespace husk::guestcomm {

/// husk pause. Answered when nothing of it runs any more.
struct PauseContainer {
  static constexpr std::string_view method = "pause_container";
  using Result = Done;
  std::string id;
};

/// husk resume.
struct ResumeContainer {
  static constexpr std::string_view method = "resume_container";
  using Result = Done;
  std::string id;
};

/// husk update: limits of its cgroup. Limits that are not in it stay.
struct UpdateContainer {
  static constexpr std::string_view method = "update_container";
  using Result = Done;
  std::string id;
  oci::Resources resources;
};

/// husk delete, in a VM that lives on.
struct DeleteContainer {
  static constexpr std::string_view method = "delete_container";
  using Result = Done;
  std::string id;
};

void to_json(nlohmann::json& json, const PauseContainer& v);
void from_json(const nlohmann::json& json, PauseContainer& v);
void to_json(nlohmann::json& json, const ResumeContainer& v);
void from_json(const nlohmann::json& json, ResumeContainer& v);
void to_json(nlohmann::json& json, const UpdateContainer& v);
void from_json(const nlohmann::json& json, UpdateContainer& v);
void to_json(nlohmann::json& json, const DeleteContainer& v);
void from_json(const nlohmann::json& json, DeleteContainer& v);

}  // namespace husk::guestcomm
