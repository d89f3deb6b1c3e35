// SPDX-License-Identifier: Apache-2.0
// A request is one type: its method's name, its parameters, and the type of its result.
//
//   struct PauseContainer {
//     static constexpr std::string_view method = "pause_container";
//     using Result = Done;
//     std::string id;
//   };
//
// A notification has no Result. The comment of a type says which program sends it.
#pragma once

#include <nlohmann/json.hpp>
#include <string_view>

namespace husk::guestcomm {

/// The result of a request that has nothing to tell but that it was done: {}.
struct Done {};

inline void to_json(nlohmann::json& j, const Done&) { j = nlohmann::json::object(); }
/// Takes anything, so that a newer agent may tell more.
inline void from_json(const nlohmann::json&, Done&) {}

}  // namespace husk::guestcomm
