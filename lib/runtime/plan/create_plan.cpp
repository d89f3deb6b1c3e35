// SPDX-License-Identifier: Apache-2.0
#include "lib/runtime/plan/create_plan.hpp"

#include <algorithm>

#include "lib/base/error.hpp"
#include "lib/runtime/caller/terminal.hpp"
#include "lib/runtime/host/hooks.hpp"
#include "lib/runtime/plan/annotations.hpp"
#include "lib/runtime/plan/file_server_plan.hpp"
#include "lib/runtime/plan/new_vm_plan.hpp"
#include "lib/runtime/plan/plan.hpp"

namespace husk::runtime {
namespace {

/// The cgroup that CRI-O makes for the VM of a pod without a sandbox container, and removes with the pod.
std::optional<CgroupPlan> plan_vm_cgroup(const std::optional<VmPlan>& vm,
                                         const CgroupPlan& container) {
  if (!vm || !vm->pod || !vm->pod->network) return std::nullopt;
  const auto parent = std::filesystem::path(container.path).parent_path();
  return CgroupPlan{.path = parent / ("crio-" + vm->pod->sandbox), .scope = std::nullopt};
}

/// The id of the VM that the container will be in.
std::string vm_id_of(const HostFacts& facts) {
  return is_joining(facts) ? facts.joined_vm : facts.vm_id;
}

CgroupPlan plan_possible_cgroup(const CreateRequest& request, const oci::Spec& spec,
                                const HostFacts& facts) {
  CgroupPlan plan =
      plan_cgroup(spec.linux_.cgroups_path, {.container = request.id, .vm = vm_id_of(facts)},
                  request.systemd_cgroup, spec.annotations);
  if (plan.scope && !facts.has_systemd) {
    throw Error(Errc::unsupported,
                "systemd not running on this host, cannot use systemd cgroups manager");
  }
  return plan;
}

std::optional<VmPlan> plan_new_vm(const std::string& id, const Annotations& annotations,
                                  const Config& config, const InstallPaths& paths,
                                  const HostFacts& facts, const Sizing& sizing) {
  std::optional<VmPod> pod = plan_pod(facts.pod, facts.place);
  if (is_joining(facts)) return std::nullopt;
  const NewVmWish wish{.title = vm_title(id),
                       .pod = std::move(pod),
                       .files = asked_files(annotations, config.files),
                       .sizing = sizing};
  return plan_vm(wish, config, paths, facts);
}

ContainerRecord plan_record(const std::string& id, const oci::Bundle& bundle,
                            const HostFacts& facts) {
  ContainerRecord record;
  record.id = id;
  record.oci_version = bundle.spec.oci_version;
  record.created = facts.now;
  record.owner = facts.owner;
  record.bundle = bundle.directory;
  record.rootfs = bundle.rootfs;
  record.annotations = bundle.spec.annotations;
  record.vm_id = vm_id_of(facts);
  record.hooks.start_container = limit_hooks(bundle.spec.hooks.start_container);
  record.hooks.poststart = bundle.spec.hooks.poststart;
  record.hooks.poststop = bundle.spec.hooks.poststop;
  return record;
}

/// Podman and CRI-O name themselves. Others have no use for the file, and would find it in their bundle.
std::optional<std::filesystem::path> plan_oom_directory(const oci::Bundle& bundle) {
  if (!bundle.spec.annotations.contains("io.container.manager")) return std::nullopt;
  return bundle.directory;
}

oci::Hooks hooks_in_create(const oci::Hooks& all) {
  oci::Hooks hooks;
  hooks.prestart = all.prestart;
  hooks.create_runtime = all.create_runtime;
  hooks.create_container = all.create_container;
  return hooks;
}

}  // namespace

CreatePlan plan_create(const CreateRequest& request, const oci::Bundle& given, const Config& config,
                       const InstallPaths& paths, const HostFacts& facts) {
  oci::Bundle bundle = given;
  leave_the_hosts(bundle.spec, facts.namespaces);
  GuestPlan guest = plan_guest(request.id, bundle);
  use_shared_tmpfs(guest, facts.shared_tmpfs);
  give_environment(guest.spec.hooks.start_container, bundle.spec.process->env);
  CgroupPlan cgroup = plan_possible_cgroup(request, bundle.spec, facts);
  check_streams(request.streams, bundle.spec.process->terminal);
  if (request.pid_file) check_pid_file(*request.pid_file, facts.pid_file_place);
  if (facts.network) check_network(*facts.network);
  Sizing sizing = plan_sizing(bundle.spec, config, facts);
  std::optional<VmPlan> new_vm =
      plan_new_vm(request.id, bundle.spec.annotations, config, paths, facts, sizing);
  std::optional<CgroupPlan> vm_cgroup = plan_vm_cgroup(new_vm, cgroup);
  ContainerRecord record = plan_record(request.id, bundle, facts);
  const VmPaths vm(record.vm_id);
  return {.record = std::move(record),
          .guest = std::move(guest),
          .namespaces = plan_namespaces(bundle.spec, facts.namespaces),
          .new_vm = std::move(new_vm),
          .sizing = std::move(sizing),
          .cgroup = std::move(cgroup),
          .vm_cgroup = std::move(vm_cgroup),
          .shim_program = paths.shim,
          .shim = plan_shim(request.id, bundle.spec, vm, !request.streams.detached),
          .hooks = hooks_in_create(bundle.spec.hooks),
          .boot_timeout = config.boot_timeout,
          .pid_file = request.pid_file,
          .pidfd_socket = request.pidfd_socket,
          .console_socket = request.streams.console_socket,
          .oom_directory = plan_oom_directory(bundle),
          .notify = plan_notify(bundle),
          .window = plan_window(*bundle.spec.process, facts.window)};
}

}  // namespace husk::runtime
