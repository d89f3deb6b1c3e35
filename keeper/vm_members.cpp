// SPDX-License-Identifier: Apache-2.0
#include "keeper/vm_members.hpp"

#include <string>

#include "lib/base/error.hpp"
#include "lib/base/files.hpp"
#include "lib/base/process_json.hpp"

namespace husk::keeper {
namespace {

constexpr std::size_t max_record_bytes = 1U << 20;  ///< as lib/runtime/vm/vm_record.cpp

nlohmann::json::array_t read_members(const std::filesystem::path& record) {
  const auto object = nlohmann::json::parse(read_file(record, max_record_bytes));
  return object.at("members").get<nlohmann::json::array_t>();
}

Error damaged(const std::filesystem::path& record, const nlohmann::json::exception& e) {
  return {Errc::invalid_argument, record.string() + ": " + e.what()};
}

}  // namespace

std::vector<ProcessIdentity> read_shims(const std::filesystem::path& record) try {
  std::vector<ProcessIdentity> shims;
  for (const auto& member : read_members(record)) {
    const auto fields = member.get<nlohmann::json::object_t>();
    if (const auto shim = fields.find("shim"); shim != fields.end())
      shims.push_back(shim->second.get<ProcessIdentity>());
  }
  return shims;
} catch (const nlohmann::json::exception& e) {
  throw damaged(record, e);
}

bool has_members(const std::filesystem::path& record) try {
  return !read_members(record).empty();
} catch (const nlohmann::json::exception& e) {
  throw damaged(record, e);
}

}  // namespace husk::keeper
