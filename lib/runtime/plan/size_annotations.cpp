// SPDX-License-Identifier: Apache-2.0
#include "lib/runtime/plan/size_annotations.hpp"

#include <nlohmann/json.hpp>

#include "lib/base/error.hpp"
#include "lib/base/parse_number.hpp"
#include "lib/base/text.hpp"

namespace husk::runtime {
namespace {

using Annotations = std::map<std::string, std::string>;
using nlohmann::json;

[[noreturn]] void refuse(const std::string& name, const std::string& text) {
  throw Error(Errc::invalid_argument, "annotations[" + quote(name) + "]: " + text);
}

std::int64_t read_number(const Annotations& annotations, const std::string& name) {
  const auto found = annotations.find(name);
  if (found == annotations.end()) return 0;
  const auto number = parse_number<std::int64_t>(found->second);
  if (!number) refuse(name, quote(found->second) + " is not a number");
  return *number;
}

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
  if (!found->is_number_integer()) refuse(name, std::string(field) + " is not a whole number");
  return found->get<std::int64_t>();
}

Demand read_crios(const std::string& name, const std::string& text) {
  const json object = json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (object.is_null()) return {};  // the kubelet said nothing
  if (!object.is_object()) refuse(name, "is not a JSON object");
  return demand_from(read_field(object, "memory_limit_in_bytes", name),
                     read_field(object, "cpu_quota", name), read_field(object, "cpu_period", name));
}

constexpr std::string_view own_prefix = "io.husk.";
constexpr const char *own_memory = "io.husk.memory_mib", *own_vcpus = "io.husk.vcpus";

std::uint64_t read_own(const Annotations& annotations, const std::string& name, std::int64_t least,
                       std::int64_t most) {
  if (!annotations.contains(name)) return 0;
  const std::int64_t number = read_number(annotations, name);
  if (number < least || number > most)
    refuse(name, "must be between " + std::to_string(least) + " and " + std::to_string(most));
  return static_cast<std::uint64_t>(number);
}

void check_own(const Annotations& annotations, const std::set<std::string>& allowed) {
  for (auto one = annotations.lower_bound(std::string(own_prefix));
       one != annotations.end() && one->first.starts_with(own_prefix); ++one) {
    if (one->first != own_memory && one->first != own_vcpus) refuse(one->first, "is unknown");
    if (!allowed.contains(one->first))
      refuse(one->first, "is not allowed by vm.allowed_annotations in the configuration");
  }
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
  return demand_from(read_number(annotations, containerds + "memory"),
                     read_number(annotations, containerds + "cpu-quota"),
                     read_number(annotations, containerds + "cpu-period"));
}

VmSize asked_size(const Annotations& annotations, const std::set<std::string>& allowed) {
  check_own(annotations, allowed);
  return {.memory_mib = read_own(annotations, own_memory, 128, 1 << 20),
          .vcpus = static_cast<unsigned>(read_own(annotations, own_vcpus, 1, 64))};
}

}  // namespace husk::runtime
