// SPDX-License-Identifier: Apache-2.0
// The plan of a husk-shim on the host: its name, its namespaces, its root. Pure.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "lib/base/process.hpp"
#include "lib/oci/spec.hpp"
#include "lib/runtime/plan/vm_paths.hpp"

namespace husk::runtime {

/// The container as the host can show it, so that `podman cp` and `podman top`, which enter the
/// shim's namespaces, meet the container and not the host: its rootfs with its binds, and a /proc
/// of the shim's pid namespace.
struct HostRootPlan {
  enum class Kind { bind, proc };
  struct Mount {
    Kind kind = Kind::bind;
    std::filesystem::path source;  ///< of a bind, which is read-only where its source is
    std::string destination;       ///< in the root: resolved inside it
    /// A bind that is read-only whatever its source is, and whether with the mounts below.
    bool read_only = false, tree_read_only = false;
  };
  std::filesystem::path rootfs;
  std::vector<Mount> mounts;  ///< in this order
};

/// The namespaces beside a pid and a mount namespace, which are always new. A container that shares the pid
/// namespace of another does so in the guest alone: with the shim that is process 1 of a namespace the kernel
/// kills all others in it, and their statuses would be lost.
struct HostNamespaces {
  bool new_network = false, new_ipc = false, new_uts = false;
  std::optional<std::filesystem::path> network, ipc, uts;  ///< to be joined
};

/// The shim of a container's first process has namespaces and a root of its own.
struct NewShim {
  HostNamespaces namespaces;
  std::optional<std::string> hostname;  ///< of a new uts namespace
  HostRootPlan root;
};

/// The shim of an exec is in all namespaces of the first one's, which is pid 1 there: so it ends
/// with it, whatever happens.
struct JoiningShim {
  ProcessIdentity first;
};

struct ShimPlan {
  std::vector<std::string> arguments;  ///< what ps(1) and `docker top` show: the container's
  std::variant<NewShim, JoiningShim> place;
  bool end_with_parent = false;  ///< by SIGKILL, when the calling process ends
};

HostNamespaces plan_host_namespaces(const oci::Spec& spec);

/// paths: of the VM of container `id`. spec: the bundle's, not the guest's.
ShimPlan plan_shim(const std::string& id, const oci::Spec& spec, const VmPaths& paths,
                   bool end_with_parent);

/// The plan for an exec in the container whose first shim is `first`.
ShimPlan plan_exec_shim(const oci::Process& process, const ProcessIdentity& first,
                        bool end_with_parent);

}  // namespace husk::runtime
