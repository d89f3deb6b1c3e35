// SPDX-License-Identifier: Apache-2.0
#include "lib/runtime/plan/pod.hpp"

#include <algorithm>

#include "lib/base/error.hpp"
#include "lib/base/text.hpp"
#include "lib/oci/check.hpp"

namespace husk::runtime {
namespace {

using Annotations = std::map<std::string, std::string>;

/// The names that one caller gives its annotations.
struct Family {
  PodFacts::Caller caller;
  const char* type;
  const char* sandbox;
};
constexpr Family containerds{PodFacts::Caller::containerd, "io.kubernetes.cri.container-type",
                             "io.kubernetes.cri.sandbox-id"};
constexpr Family crios{PodFacts::Caller::crio, "io.kubernetes.cri-o.ContainerType",
                       "io.kubernetes.cri-o.SandboxID"};

const Family& family_of(const PodFacts& pod) {
  return pod.caller == PodFacts::Caller::crio ? crios : containerds;
}

std::optional<std::string> find(const Annotations& annotations, const char* name) {
  const auto found = annotations.find(name);
  return found == annotations.end() ? std::nullopt : std::optional(found->second);
}

[[noreturn]] void refuse(const char* name, const std::string& text) {
  throw Error(Errc::invalid_argument, "annotations[" + quote(name) + "]: " + text);
}

bool read_type(const Family& family, const std::string& type) {
  if (type != "sandbox" && type != "container")
    refuse(family.type, "is " + quote(type) + ", neither \"sandbox\" nor \"container\"");
  return type == "sandbox";
}

std::optional<PodFacts> read_family(const Family& family, const std::string& id,
                                    const Annotations& annotations) {
  const auto type = find(annotations, family.type), sandbox = find(annotations, family.sandbox);
  if (!type && !sandbox) return std::nullopt;
  if (!type) refuse(family.type, std::string("missing beside ") + family.sandbox);
  if (!sandbox || sandbox->empty()) refuse(family.sandbox, "missing or empty");
  step("annotations[" + quote(family.sandbox) + "]", [&] { oci::check_container_id(*sandbox); });
  PodFacts pod{
      .caller = family.caller, .sandbox = *sandbox, .is_sandbox = read_type(family, *type)};
  if (pod.is_sandbox && pod.sandbox != id)
    refuse(family.sandbox, "is " + quote(pod.sandbox) + ", but the sandbox is container " + id);
  if (!pod.is_sandbox && pod.sandbox == id)
    refuse(family.sandbox, "is the id of the container, which is not the sandbox");
  return pod;
}

std::string describe(const PodFacts& pod) { return "pod " + quote(pod.sandbox); }

void check_joined(const PodFacts& pod, const PodPlace& place) {
  const char* name = family_of(pod).sandbox;
  if (pod.is_sandbox)
    refuse(name, "the container is the sandbox of " + describe(pod) +
                     ", but its network namespace is in VM " + place.vm + " already");
  // A VM that an older husk has made has no pod, but the sandbox container in it.
  const bool is_pods =
      place.vm_pod ? place.vm_pod->root == place.root && place.vm_pod->sandbox == pod.sandbox
                   : std::ranges::find(place.vm_members, pod.sandbox) != place.vm_members.end();
  if (!is_pods)
    refuse(name, "the container is of " + describe(pod) + ", but its network namespace is in VM " +
                     place.vm + ", which is not that pod's");
}

}  // namespace

std::optional<PodFacts> find_pod(const std::string& id, const Annotations& annotations) {
  // Podman 4.0 to 4.3 set CRI-O's type as well, and later ones the id alone; a pod of Podman's may share no network.
  const bool is_podmans = find(annotations, "io.container.manager") == "libpod";
  if (is_podmans) return std::nullopt;
  const auto containerds_pod = read_family(containerds, id, annotations);
  const auto crios_pod = read_family(crios, id, annotations);
  if (!containerds_pod || !crios_pod) return containerds_pod ? containerds_pod : crios_pod;
  if (containerds_pod->sandbox != crios_pod->sandbox ||
      containerds_pod->is_sandbox != crios_pod->is_sandbox)
    refuse(containerds.sandbox, std::string("contradicts ") + crios.type + " and " + crios.sandbox);
  return crios_pod;
}

std::optional<VmPod> plan_pod(const std::optional<PodFacts>& pod, const PodPlace& place) {
  if (!pod) return std::nullopt;
  if (!place.vm.empty()) {
    check_joined(*pod, place);
    return std::nullopt;
  }
  if (!place.pod_vm.empty())
    refuse(family_of(*pod).sandbox, describe(*pod) + " is in VM " + place.pod_vm +
                                        ", where the container's network namespace is not");
  if (pod->is_sandbox)
    return VmPod{.root = place.root, .sandbox = pod->sandbox, .network = std::nullopt};
  // containerd's pods, and CRI-O's with an infra container, begin with their sandbox.
  if (pod->caller == PodFacts::Caller::containerd || place.has_sandbox)
    throw Error(Errc::not_found, describe(*pod) + ": the VM of its sandbox is gone");
  if (!place.network)
    throw Error(Errc::invalid_argument, "linux.namespaces: the path of the network namespace of " +
                                            describe(*pod) + " is missing");
  return VmPod{.root = place.root, .sandbox = pod->sandbox, .network = place.network};
}

}  // namespace husk::runtime
