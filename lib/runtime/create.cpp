// SPDX-License-Identifier: Apache-2.0
// husk create: top to bottom. Each object undoes what it did unless kept; on failure the newest
// goes first.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "lib/base/cancellation.hpp"
#include "lib/base/error.hpp"
#include "lib/base/files.hpp"
#include "lib/base/random_id.hpp"
#include "lib/base/time.hpp"
#include "lib/guestcomm/agent_client.hpp"
#include "lib/hypervisor/driver.hpp"
#include "lib/oci/bundle.hpp"
#include "lib/oci/check.hpp"
#include "lib/runtime/hooks.hpp"
#include "lib/runtime/host_cgroup.hpp"
#include "lib/runtime/plan.hpp"
#include "lib/runtime/runtime.hpp"
#include "lib/runtime/sandbox.hpp"
#include "lib/runtime/shim_process.hpp"

namespace husk::runtime {
namespace {

using namespace std::chrono_literals;
namespace fs = std::filesystem;

constexpr auto connect_patience = 10s;
constexpr auto create_patience = 120s;

/// The streams' connections to the guest, by their tokens; all three, since the shim has all three.
struct StreamConnections {
  guestcomm::StreamTokens tokens;
  guestcomm::Stdio<UniqueFd> sockets;
};

StreamConnections open_streams(const guestcomm::GuestAccess& guest) {
  StreamConnections streams{
      guestcomm::Pipes<std::string>{random_hex(16), random_hex(16), random_hex(16)}, {}};
  streams.sockets = guestcomm::with_each_end(streams.tokens, [&](const std::string& token) {
    return guestcomm::open_stream(guest, token, connect_patience);
  });
  return streams;
}

std::string owner_name() {
  const std::string uid = std::to_string(::getuid());
  std::ifstream passwd(
      "/etc/passwd");  // not getpwuid: loading the name services costs more than the whole command
  for (std::string line; std::getline(passwd, line);) {
    const std::size_t name = line.find(':'), password = line.find(':', name + 1);
    if (line.compare(password + 1, uid.size() + 1, uid + ":") == 0) return line.substr(0, name);
  }
  return uid;
}

ContainerRecord first_record(const CreateRequest& request, const oci::Bundle& bundle) {
  ContainerRecord record;
  record.id = request.id;
  record.oci_version = bundle.spec.oci_version;
  record.created = rfc3339_now();
  record.owner = owner_name();
  record.bundle = bundle.directory;
  record.rootfs = bundle.rootfs;
  record.annotations = bundle.spec.annotations;
  record.hooks.poststart = bundle.spec.hooks.poststart;
  record.hooks.poststop = bundle.spec.hooks.poststop;
  return record;
}

void write_pid_file(const fs::path& path, pid_t pid) {
  step("pid file", [&] { write_file_atomic(path, std::to_string(pid), 0644); });
}

/// Before a VM is started for nothing: callers' mistakes in the path of the pid file.
void check_pid_file(const std::optional<fs::path>& path) {
  if (!path) return;
  if (::access(path->parent_path().c_str(), W_OK) != 0) {
    throw Error(Errc::invalid_argument,
                "pid file " + path->string() + ": its directory is missing or not writable");
  }
  if (fs::is_directory(*path))
    throw Error(Errc::invalid_argument,
                "pid file " + path->string() + ": is occupied by a directory");
}

/// The kernel would promise the memory, and the VM would be killed once its guest uses it.
void check_host_memory(const Config& config) {
  std::ifstream meminfo("/proc/meminfo");
  std::uint64_t host_mib = 0, kib = 0;
  for (std::string name, unit; meminfo >> name >> kib && std::getline(meminfo, unit);) {
    if (name == "MemTotal:" || name == "SwapTotal:") host_mib += kib / 1024;
  }
  if (config.memory_mib <= host_mib) return;
  throw Error(Errc::invalid_argument, "not enough memory for the VM: vm.memory_mib is " +
                                          std::to_string(config.memory_mib) + ", this host has " +
                                          std::to_string(host_mib) + " MiB");
}

SandboxPlan plan_sandbox(const std::string& id, const Config& config, const InstallPaths& paths) {
  const hypervisor::Driver& driver = hypervisor::driver_for(config.uri);
  SandboxPlan plan{.id = random_hex(4),
                   .secret = random_hex(16),
                   .uri = config.uri,
                   .user = driver.find_user(),
                   .assets = {.kernel = config.kernel.value_or(paths.kernel),
                              .initrd = config.initrd.value_or(paths.initrd),
                              .firmware = config.firmware.value_or(driver.firmware)},
                   .vm = {}};
  plan.vm = plan_vm(id, plan.id, config, hypervisor::choose_accelerator(config.accelerator));
  return plan;
}

}  // namespace

CreatedContainer Runtime::create(const CreateRequest& request) {
  const Cancellation cancellation;
  oci::check_container_id(request.id);
  const oci::Bundle bundle = oci::load_bundle(request.bundle);
  const GuestPlan guest = plan_guest(request.id, bundle);
  const CgroupPlan cgroup_plan = plan_cgroup(bundle.spec.linux_.cgroups_path, request.id,
                                             config_.systemd_cgroup, bundle.spec.annotations);
  check_pid_file(request.pid_file);
  check_host_memory(config_);
  const SandboxPlan sandbox_plan = plan_sandbox(request.id, config_, paths_);

  // From here on things are made. The record is written first, so that `delete --force` can clean
  // up after a husk that was killed half-way.
  StateDir dir = store_.reserve(request.id);
  ContainerRecord record = first_record(request, bundle);
  record.vm_id = sandbox_plan.id;
  dir.save(record);

  Sandbox sandbox(sandbox_plan);
  sandbox.add_container(request.id, bundle.rootfs, guest);
  HostCgroup cgroup(cgroup_plan);
  record.cgroups = cgroup.made();
  record.unit = cgroup.unit();
  const ShimPlan shim_plan =
      plan_shim(request.id, bundle.spec, sandbox.paths(), request.foreground);
  if (const auto& network = std::get<NewShim>(shim_plan.place).namespaces.network)
    record.network_namespace = network->string();
  dir.save(record);

  // Before libvirt is asked: a namespace or root that cannot be had costs no VM; systemd makes a
  // scope with its first process, and the VM's go into it; the keeper has to know after whom the VM
  // ends; and the hooks, for which the guest's boot is long enough, are told the shim's pid.
  ShimProcess shim(paths_.shim, shim_plan, cgroup);
  const auto vm = sandbox.boot(sandbox_plan, connect_, cgroup, shim.pid());

  // While the guest boots: the hooks, for which the shim's pid leads to the namespaces.
  oci::State hook_state = record.to_state();
  hook_state.pid = shim.pid();
  run_hooks(bundle.spec.hooks.prestart, "prestart", hook_state);
  run_hooks(bundle.spec.hooks.create_runtime, "createRuntime", hook_state);

  vm->await_agent(config_.boot_timeout);
  guestcomm::AgentClient agent = sandbox.connect(connect_patience);
  StreamConnections streams = open_streams(sandbox.guest());
  agent.create_container({.id = request.id, .spec = guest.spec, .stdio = streams.tokens},
                         create_patience);
  const UniqueFd shim_control = sandbox.connect(connect_patience).release();
  shim.hand_over({request.id, {}}, shim_control.get(),
                 guestcomm::with_each_end(streams.sockets,
                                          [](const UniqueFd& socket) { return socket.get(); }));

  record.shim = identify_process(shim.pid());
  if (!record.shim) throw Error(Errc::peer_lost, "the shim ended before the container was created");
  dir.save(record);
  throw_if_cancelled();
  if (request.pid_file) write_pid_file(*request.pid_file, shim.pid());
  shim.keep();
  vm->keep();
  cgroup.keep();
  sandbox.keep();
  dir.keep();
  return {.shim_pid = shim.pid()};
}

}  // namespace husk::runtime
