// SPDX-License-Identifier: Apache-2.0
// husk create: top to bottom. Each step undoes what it did unless the command succeeds; on failure the
// newest goes first.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "lib/base/cancellation.hpp"
#include "lib/base/error.hpp"
#include "lib/base/trace.hpp"
#include "lib/base/undo.hpp"
#include "lib/guestcomm/protocol/create_messages.hpp"
#include "lib/oci/check.hpp"
#include "lib/runtime/caller/caller_socket.hpp"
#include "lib/runtime/caller/terminal.hpp"
#include "lib/runtime/find_host_facts.hpp"
#include "lib/runtime/host/hooks.hpp"
#include "lib/runtime/host/mount_tree.hpp"
#include "lib/runtime/plan/create_plan.hpp"
#include "lib/runtime/plan/plan.hpp"
#include "lib/runtime/pool.hpp"
#include "lib/runtime/runtime.hpp"
#include "lib/runtime/shim/shim_process.hpp"
#include "lib/runtime/vm/find_namespaces.hpp"
#include "lib/runtime/vm/guest_trace.hpp"
#include "lib/runtime/vm/kill_socket.hpp"
#include "lib/runtime/vm/membership.hpp"
#include "lib/runtime/vm/pinned_settings.hpp"
#include "lib/runtime/vm/process_streams.hpp"
#include "lib/runtime/vm/vm_handle.hpp"

namespace husk::runtime {
namespace {

using namespace std::chrono_literals;

constexpr auto create_patience = 120s;

/// The shim's pid leads them to the namespaces.
void run_create_hooks(const oci::Hooks& hooks, const ContainerRecord& record,
                      const ProcessIdentity& shim) {
  oci::State state = record.to_state(ContainerState::creating);
  state.pid = shim.pid;
  run_hooks(hooks.prestart, "prestart", state);
  run_hooks(hooks.create_runtime, "createRuntime", state);
  run_hooks_in(shim, hooks.create_container, "createContainer", state);
}

/// The state for startContainer hooks. The guest adds the pid.
std::string hook_state(const CreatePlan& plan) {
  if (plan.guest.spec.hooks.start_container.empty()) return {};
  return oci::to_ordered_json(plan.record.to_state(ContainerState::created)).dump();
}

ProcessIdentity identify_shim(const ShimProcess& shim) {
  if (const auto identity = identify_process(shim.pid())) return *identity;
  throw Error(Errc::peer_lost, "the shim exited before the container was created");
}

/// An older agent would not read how the container comes to its namespaces, and make new ones.
void check_sharing(const std::vector<guestcomm::NamespaceUse>& uses, int protocol) {
  const auto is_shared = [](const auto& use) {
    return use.way != guestcomm::NamespaceUse::Way::make;
  };
  if (protocol < guestcomm::sharing_protocol && std::ranges::any_of(uses, is_shared))
    throw Error(
        Errc::unsupported,
        "the VM was started by an older husk, whose guest agent cannot share pid, ipc and uts "
        "namespaces");
}

/// Creates the container in the guest, and hands its first process over to the shim. `agent` keeps the
/// process alive until then.
void create_in_guest(Membership& membership, const CreatePlan& plan,
                     std::vector<guestcomm::NamespaceUse> namespaces, const ShimProcess& shim) {
  const VmHandle vm = membership.vm();
  const std::string& id = plan.record.id;
  Laps laps;
  guestcomm::AgentClient agent = membership.connect();
  laps.end("connect to the agent");
  check_sharing(namespaces, agent.protocol());
  ProcessStreams streams = open_streams(vm.guest(), plan.window);
  laps.end("open streams");
  const UniqueFd notify = plan.notify ? connect_notify(*plan.notify) : UniqueFd();
  agent.call(guestcomm::CreateContainer{.id = id,
                                        .spec = plan.guest.spec,
                                        .stdio = streams.tokens,
                                        .notify_socket =
                                            notify ? plan.notify->in_container : std::string(),
                                        .hook_state = hook_state(plan),
                                        .namespaces = std::move(namespaces),
                                        .shared_tmpfs = plan.guest.shared_tmpfs},
             create_patience);
  laps.end("agent: create_container");
  membership.complete_size(agent);
  laps.end("agent: plugged memory");
  trace_guest(agent);
  // The container's process is this connection's until the shim says that it is the shim's.
  const UniqueFd control = agent.release();
  const UniqueFd bundle = plan.oom_directory ? copy_mount(*plan.oom_directory, false) : UniqueFd();
  const UniqueFd kills = connect_kill_socket(vm.paths());
  shim.hand_over({id, {}}, control.get(), streams.descriptors(), notify.get(), bundle.get(),
                 kills.get());
  laps.end("hand over to the shim");
}

void create_in_guest(Membership& membership, const CreatePlan& plan,
                     const ProcessIdentity& identity, const ShimProcess& shim) {
  auto namespaces = step("the shim", [&] { return with_names(plan.namespaces, identity); });
  try {
    create_in_guest(membership, plan, std::move(namespaces), shim);
  } catch (const Error& e) {
    throw membership.explain(e);
  }
}

/// What the pod's caller has set in namespaces. husk's range of ports is none of that.
PinnedSettings find_settings(const oci::Spec& spec, const VmPod& pod) {
  PinnedSettings settings = read_pinned_settings(spec);
  if (const std::string ports = find_ports_of_pod(pod); !ports.empty())
    settings.sysctl["net.ipv4.ip_local_port_range"] = ports;
  return settings;
}

/// The paths may lead elsewhere by now: a process has ended, and another has its pid.
void check_shim(const HostFacts& facts, const ProcessIdentity& shim) {
  const auto check = [&](const std::string& type, const std::filesystem::path& path,
                         const NamespaceId& id) {
    if (step("the shim", [&] { return namespace_of(shim, type); }) != id)
      throw Error(Errc::invalid_argument,
                  "linux.namespaces: " + path.string() + " leads to another namespace now");
  };
  if (facts.network) check("net", facts.network->path, facts.network->id);
  for (const NamespaceFacts& one : facts.namespaces)
    if (one.type != "pid" && !one.is_the_hosts) check(one.type, one.path, one.id);
}

/// Locks until the VM of a pod's first container is on record for the second container. A sandbox is the first, and
/// the containers of its pod make no VM: none of them waits for a husk that hangs.
std::optional<DirectoryLock> lock_pods_of(const std::optional<PodFacts>& pod,
                                          const StateStore& store) {
  if (!pod || pod->is_sandbox || store.exists(pod->sandbox)) return std::nullopt;
  return store.lock_root();
}

}  // namespace

CreatedContainer Runtime::create(const CreateRequest& request) {
  const Cancellation cancellation;
  const Span all("create");
  Laps laps;
  oci::check_container_id(request.id);
  oci::Bundle bundle = oci::load_bundle(request.bundle);
  bundle.spec = with_guest_cgroups(std::move(bundle.spec));
  const std::optional<PodFacts> pod = find_pod(request.id, bundle.spec.annotations);
  std::optional<DirectoryLock> pods = lock_pods_of(pod, store_);
  HostFacts facts = find_host_facts(config_, request, bundle.spec, pod, store_);
  CreatePlan plan = plan_create(request, bundle, config_, paths_, facts);
  laps.end("read and plan");

  // Nothing was made until here. The record is written first, so that `delete --force` can clean
  // up after a husk that was killed half-way.
  ContainerRecord record = plan.record;
  std::optional<HostTerminal> terminal;  // outlives the shim, which has it
  Undo undo;
  auto& poststop = undo.own([&] {
    return PoststopOnFailure(record.hooks.poststop, record.to_state(ContainerState::stopped));
  });
  StateDir& state = undo.own([&] { return store_.reserve(record.id); });
  PoolClaim& claim = undo.own([&] {
    return PoolClaim(take_from_pool({config_, paths_, connect_}, plan.new_vm, facts), connect_);
  });
  if (const VmRecord* const vm = claim.vm()) {
    facts.vm_id = vm->id;
    facts.secret = vm->secret;
    plan = plan_create(request, bundle, config_, paths_, facts);
    record = plan.record;
    laps.end("VM of the pool");
  }
  state.save(record);
  HostCgroup& cgroup = undo.own([&] { return HostCgroup(plan.cgroup); });
  record.cgroups = cgroup.made();
  record.unit = cgroup.unit();
  state.save(record);
  HostCgroup& vm_cgroup =
      plan.vm_cgroup ? undo.own([&] { return HostCgroup(*plan.vm_cgroup); }) : cgroup;
  laps.end("record and cgroup");
  if (!plan.new_vm) pods.reset();
  Membership& membership = undo.own([&] {
    return Membership(record, plan.new_vm, plan.sizing.demand, connect_, state, claim.release());
  });
  if (plan.vm_cgroup) membership.note_cgroups(vm_cgroup.made());
  pods.reset();
  if (plan.new_vm && plan.vm_cgroup)
    add_settings(plan.guest.spec, find_settings(bundle.spec, plan.new_vm->pod.value()));
  const PinnedBinds pinned = membership.pin_files(record.rootfs, plan.guest);
  leave_writable_below(plan.guest, pinned.with_mounts_below);
  carry_restrictions(plan.guest, pinned.options);
  laps.end("files for the VM");

  // Before libvirt is asked: a namespace or root that cannot be had costs no VM; systemd makes a
  // scope with its first process, and the VM's go into it; the keeper has to know after whom the VM
  // ends; and the hooks, for which the guest's boot is long enough, are told the shim's pid.
  if (plan.console_socket) terminal.emplace(*plan.window);
  ShimProcess& shim = undo.own(
      [&] { return ShimProcess(plan.shim_program, plan.shim, cgroup, slave_of(terminal)); });
  record.shim = identify_shim(shim);
  check_shim(facts, *record.shim);
  laps.end("shim");
  membership.enter(*record.shim, vm_cgroup);
  laps.end("start the VM");
  poststop.begin();
  run_create_hooks(plan.hooks, record, *record.shim);
  laps.end("hooks");
  membership.await_agent(plan.boot_timeout);
  laps.end("wait for the agent");
  membership.grow_vm(plan.sizing.bounds);
  create_in_guest(membership, plan, *record.shim, shim);
  laps.end("create in the guest");
  membership.limit_new_vm();
  laps.end("limits on the host");

  state.save(record);
  throw_if_cancelled();
  if (terminal) terminal->send_master(*plan.console_socket);
  if (plan.pidfd_socket)
    send_to_caller(*plan.pidfd_socket, "pidfd socket", "standard", shim.open_pidfd().get());
  if (plan.pid_file) write_pid_file(*plan.pid_file, shim.pid());
  undo.keep_all();
  return {.shim_pid = record.shim->pid, .has_terminal = plan.window.has_value()};
}

}  // namespace husk::runtime
