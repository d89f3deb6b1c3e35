// SPDX-License-Identifier: Apache-2.0
// The Kubernetes pod that a container belongs to. Pure.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "lib/base/namespace_id.hpp"

namespace husk::runtime {

/// The pod that a caller of the Kubernetes CRI names in annotations.
struct PodFacts {
  enum class Caller { containerd, crio };
  Caller caller = Caller::containerd;
  std::string sandbox;      ///< the pod's id
  bool is_sandbox = false;  ///< the container stands for the pod, and has the pod's id
};

/// Reads "io.kubernetes.cri.*" and "io.kubernetes.cri-o.*" of the container `id`. Empty: the container is in
/// no pod, or in one of Podman's, which namespace paths describe in full. Throws invalid_argument with the
/// annotation's name; also where the two families differ, since some callers pass on what a user of the cluster
/// has written.
std::optional<PodFacts> find_pod(const std::string& id,
                                 const std::map<std::string, std::string>& annotations);

/// The pod that has a VM.
struct VmPod {
  std::string root;     ///< husk's --root: the pod's containers are there
  std::string sandbox;  ///< the pod's id
  /// The pod's network namespace on the host, where no container stands for the pod (CRI-O without infra
  /// container): the VM lives as long as the namespace's file and the pod's containers. Empty: the VM lives as
  /// long as the container `sandbox`.
  std::optional<NamespaceId> network = {};
  friend bool operator==(const VmPod&, const VmPod&) = default;
};

/// What the host knows of the pod that a container is created in.
struct PodPlace {
  std::string root = {};             ///< of the command
  std::string vm = {};               ///< that the container's namespaces lead to; empty: none
  std::optional<VmPod> vm_pod = {};  ///< whose VM that is, if it is a pod's
  std::vector<std::string> vm_members = {};  ///< the ids of the containers in it
  std::optional<NamespaceId> network = {};   ///< whose path config.json gives
  std::string pod_vm = {};                   ///< a running VM that is the pod's; empty: none
  bool has_sandbox = false;                  ///< the root has a container with the pod's id
};

/// Namespace paths decide which VM a container joins, and annotations never do: a user of the cluster may be
/// able to write them. Returns the pod of the container's new VM; empty: the VM is no pod's, or the container
/// joins one. Throws invalid_argument where annotations and namespaces contradict; not_found for a member of a
/// pod whose VM is gone.
std::optional<VmPod> plan_pod(const std::optional<PodFacts>& pod, const PodPlace& place);

}  // namespace husk::runtime
