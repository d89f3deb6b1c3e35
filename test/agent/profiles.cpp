// SPDX-License-Identifier: Apache-2.0
#include "test/agent/profiles.hpp"

#include <nlohmann/json.hpp>

#include "lib/base/files.hpp"
#include "lib/oci/spec.hpp"

namespace husk::test {

oci::Seccomp load_profile(const std::string& name) {
  const std::string path = std::string(HUSK_TEST_PROFILES) + "/" + name + ".json";
  const nlohmann::json json{
      {"ociVersion", "1.0.2"},
      {"linux", {{"seccomp", nlohmann::json::parse(read_file(path, 1u << 20))}}}};
  return json.get<oci::Spec>().linux_.seccomp.value();
}

}  // namespace husk::test
