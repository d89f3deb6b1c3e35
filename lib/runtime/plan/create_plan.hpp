// SPDX-License-Identifier: Apache-2.0
// The plan of all that `create` will make. Pure.
#pragma once

#include <chrono>
#include <filesystem>
#include <optional>

#include "lib/oci/bundle.hpp"
#include "lib/runtime/caller/notify_socket.hpp"
#include "lib/runtime/caller/requests.hpp"
#include "lib/runtime/host/config.hpp"
#include "lib/runtime/host/host_cgroup.hpp"
#include "lib/runtime/host/install_paths.hpp"
#include "lib/runtime/plan/guest_plan.hpp"
#include "lib/runtime/plan/host_facts.hpp"
#include "lib/runtime/plan/shim_plan.hpp"
#include "lib/runtime/plan/sizing.hpp"
#include "lib/runtime/plan/vm_plan.hpp"
#include "lib/runtime/record/container_record.hpp"

namespace husk::runtime {

struct CreatePlan {
  ContainerRecord record;  ///< its first form: no cgroups, no shim
  GuestPlan guest;
  std::vector<guestcomm::NamespaceUse> namespaces;  ///< without names, see plan_namespaces()
  std::optional<VmPlan> new_vm;                     ///< empty: joins VM record.vm_id, which runs
  Sizing sizing;
  CgroupPlan cgroup;
  std::optional<CgroupPlan> vm_cgroup;  ///< of a new VM that is not in the container's
  std::filesystem::path shim_program;
  ShimPlan shim;
  oci::Hooks hooks;  ///< those that run on the host in create
  std::chrono::seconds boot_timeout{0};
  std::optional<std::filesystem::path> pid_file, pidfd_socket, console_socket;
  /// Where the file "oom" says that the container was killed for want of memory, for conmon's callers.
  std::optional<std::filesystem::path> oom_directory;
  std::optional<NotifyPlan> notify;
  std::optional<guestcomm::WindowSize> window;  ///< of its terminal, if it is to have one
};

/// Throws for whatever a caller or an administrator can get wrong and the facts can tell:
/// unsupported or invalid_argument, with a text that names it.
CreatePlan plan_create(const CreateRequest& request, const oci::Bundle& given, const Config& config,
                       const InstallPaths& paths, const HostFacts& facts);

}  // namespace husk::runtime
