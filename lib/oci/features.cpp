// SPDX-License-Identifier: Apache-2.0
#include "lib/oci/features.hpp"

#include <nlohmann/json.hpp>

#include "lib/oci/known_names.hpp"

namespace husk::oci {
namespace {

using Json = nlohmann::ordered_json;

Json array_of(Names names) {
  return Json(std::vector<std::string_view>(names.begin(), names.end()));
}

Json seccomp_features() {
  Json json;
  json["enabled"] = true;
  json["actions"] = array_of(seccomp_actions);
  json["operators"] = array_of(seccomp_operators);
  json["archs"] = array_of(seccomp_architectures);
  return json;
}

// The guest has cgroup v2 only, whatever the host has. systemd: --systemd-cgroup, on the host.
Json cgroup_features() {
  Json json;
  json["v1"] = false;
  json["v2"] = true;
  json["systemd"] = true;
  json["systemdUser"] = false;
  json["rdma"] = false;
  return json;
}

Json linux_features() {
  const Json disabled = {{"enabled", false}};
  Json json;
  json["namespaces"] = array_of(supported_namespaces);
  json["capabilities"] = array_of(capability_names);
  json["cgroup"] = cgroup_features();
  json["seccomp"] = seccomp_features();
  json["apparmor"] = disabled;
  json["selinux"] = disabled;
  json["intelRdt"] = disabled;
  json["mountExtensions"]["idmap"] = disabled;
  return json;
}

}  // namespace

Json features() {
  Json json;
  json["ociVersionMin"] = "1.0.0";
  json["ociVersionMax"] = "1.2.0";
  json["hooks"] = array_of(hook_names);
  json["mountOptions"] = array_of(mount_options);
  json["linux"] = linux_features();
  json["annotations"]["io.husk.version"] = HUSK_VERSION;
  // The annotations that change what husk does (lib/systemd/unit_property.cpp).
  json["potentiallyUnsafeConfigAnnotations"] = Json::array({"org.systemd.property."});
  return json;
}

}  // namespace husk::oci
