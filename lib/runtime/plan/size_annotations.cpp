// SPDX-License-Identifier: Apache-2.0
#include "lib/runtime/plan/size_annotations.hpp"

#include <nlohmann/json.hpp>

#include "lib/runtime/host/own_annotations.hpp"

namespace husk::runtime {
namespace {

using nlohmann::json;

/// The limits of a pod as a container's would be: 0 and less is none.
Demand demand_from(std::int64_t memory, std::int64_t quota, std::int64_t period) {
  oci::Resources resources;
  resources.memory.emplace().limit = memory;
  resources.cpu.emplace().quota = quota;
  resources.cpu->period = period > 0 ? static_cast<std::uint64_t>(period) : 0;
  return demand_of(resources);
}

std::int64_t read_field(const json& object, const char* field, const std::string& name) {
  const auto found = object.find(field);
  if (found == object.end()) return 0;
  if (!found->is_number_integer())
    refuse_annotation(name, std::string(field) + " is not a whole number");
  return found->get<std::int64_t>();
}

Demand read_crios(const std::string& name, const std::string& text) {
  const json object = json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (object.is_null()) return {};  // the kubelet said nothing
  if (!object.is_object()) refuse_annotation(name, "is not a JSON object");
  return demand_from(read_field(object, "memory_limit_in_bytes", name),
                     read_field(object, "cpu_quota", name), read_field(object, "cpu_period", name));
}

}  // namespace

Demand pod_demand(const Annotations& annotations) {
  // CRI-O's names since 1.35, and before.
  for (const char* name :
       {"pod-linux-resources.crio.io", "io.kubernetes.cri-o.PodLinuxResources"}) {
    const auto found = annotations.find(name);
    if (found != annotations.end()) return read_crios(name, found->second);
  }
  const std::string containerds = "io.kubernetes.cri.sandbox-";
  return demand_from(read_annotation(annotations, containerds + "memory"),
                     read_annotation(annotations, containerds + "cpu-quota"),
                     read_annotation(annotations, containerds + "cpu-period"));
}

VmSize asked_size(const Annotations& annotations) {
  return {.memory_mib = static_cast<std::uint64_t>(
              read_annotation(annotations, memory_annotation, 128, 1 << 20)),
          .vcpus = static_cast<unsigned>(read_annotation(annotations, vcpus_annotation, 1, 64))};
}

}  // namespace husk::runtime
