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
#include "lib/guestcomm/announcement.hpp"
#include "lib/guestcomm/vm_keeper.hpp"
#include "lib/hypervisor/booted_vm.hpp"
#include "lib/hypervisor/driver.hpp"
#include "lib/hypervisor/vm_process.hpp"
#include "lib/oci/bundle.hpp"
#include "lib/oci/check.hpp"
#include "lib/runtime/hooks.hpp"
#include "lib/runtime/host_cgroup.hpp"
#include "lib/runtime/plan.hpp"
#include "lib/runtime/runtime.hpp"
#include "lib/runtime/shim_process.hpp"

namespace husk::runtime {
namespace {

using namespace std::chrono_literals;
namespace fs = std::filesystem;

constexpr auto connect_patience = 10s;
constexpr auto create_patience = 120s;
constexpr std::size_t shown_console_bytes = 1500;

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

/// The VM's keeper, its vsock device in one of its two forms, and the ear for the guest's
/// announcement.
struct VsockSetup {
  guestcomm::VmKeeper keeper;
  std::unique_ptr<guestcomm::Announcement> announcement;
  hypervisor::VsockDevice config;
};

VsockSetup set_up_vsock(const VmPaths& paths, const hypervisor::VmUser& user,
                        const hypervisor::Driver& driver, const std::string& vm_name) {
  const guestcomm::AbandonedVm abandoned{
      .find = [&driver, vm_name] { return hypervisor::find_vm_process(driver, vm_name); },
      .directory = paths.directory};
  if (guestcomm::has_vhost_vsock()) {
    return {.keeper = guestcomm::VmKeeper(abandoned),
            .announcement = guestcomm::listen_vsock(),
            .config = {}};
  }
  VsockSetup vsock{
      .keeper = {paths.vsock(), user.uid, user.gid, abandoned}, .announcement = {}, .config = {}};
  vsock.config.vhost_user_socket = vsock.keeper.device_socket();
  vsock.announcement = guestcomm::listen_hybrid(vsock.keeper.host_socket(), user.uid, user.gid);
  return vsock;
}

/// Where every user of the host can reach the guest, the ports tell root from others.
bool needs_privileged_ports(const VsockSetup& vsock) { return !vsock.keeper.has_device(); }

guestcomm::GuestAddress address_of(const VsockSetup& vsock, const hypervisor::StartedVm& vm) {
  if (vsock.keeper.has_device())
    return guestcomm::HybridAddress{vsock.keeper.host_socket().string()};
  return guestcomm::VsockAddress{vm.cid.value()};
}

/// One line of what the guest said last, for the error's text. Its bytes are the guest's: only
/// plain ones are shown.
std::string console_end(const fs::path& console_log) {
  std::ifstream file(console_log, std::ios::binary | std::ios::ate);
  if (!file) return "the guest's console is empty";
  const auto size = static_cast<std::size_t>(file.tellg());
  const std::size_t length = std::min(size, shown_console_bytes);
  std::string text(length, '\0');
  file.seekg(static_cast<std::streamoff>(size - length));
  file.read(text.data(), static_cast<std::streamsize>(length));
  std::string line;
  for (const char c : text) {
    if (c == '\n') line += " | ";
    if (c >= ' ' && c < '\x7f') line += c;
  }
  if (line.empty()) return "the guest's console is empty";
  return "the guest's console ended with: " + line;
}

void await_agent(guestcomm::Announcement& announcement, const guestcomm::GuestAddress& address,
                 const ProcessIdentity& vm, const VmPaths& paths, std::chrono::seconds patience) {
  try {
    const UniqueFd vm_gone = open_process(vm);
    if (!vm_gone) throw Error(Errc::peer_lost, "the VM ended");
    const int protocol = announcement.wait(address, vm_gone.get(), patience);
    if (protocol != guestcomm::protocol_version) {
      throw Error(Errc::unsupported, "the guest agent speaks protocol " + std::to_string(protocol));
    }
  } catch (const Error& e) {
    throw Error(e.code(), "the guest did not come up: " + std::string(e.what()) + "; " +
                              console_end(paths.console_log()));
  }
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
  const hypervisor::Driver& driver = hypervisor::driver_for(config_.uri);
  const auto accelerator = hypervisor::choose_accelerator(config_.accelerator);
  const hypervisor::VmUser vm_user = driver.find_user();
  const std::string vm_id = random_hex(4);
  const std::string secret = random_hex(16);
  hypervisor::VmConfig vm_config = plan_vm(request.id, vm_id, config_, accelerator);

  // From here on things are made. The record is written first, so that `delete --force` can clean
  // up after a husk that was killed half-way.
  StateDir dir = store_.reserve(request.id);
  ContainerRecord record = first_record(request, bundle);
  record.vm_id = vm_id;
  record.vm_name = vm_config.name;
  dir.save(record);

  VmDirectory vm_dir(vm_id,
                     {.kernel = config_.kernel.value_or(paths_.kernel),
                      .initrd = config_.initrd.value_or(paths_.initrd),
                      .firmware = config_.firmware.value_or(driver.firmware)},
                     vm_user.uid, vm_user.gid, secret);
  vm_dir.add_container(request.id, bundle.rootfs, guest);
  HostCgroup cgroup(cgroup_plan);
  record.cgroups = cgroup.made();
  record.unit = cgroup.unit();
  const ShimPlan shim_plan = plan_shim(request.id, bundle.spec, vm_dir.paths(), request.foreground);
  if (const auto& network = std::get<NewShim>(shim_plan.place).namespaces.network)
    record.network_namespace = network->string();
  dir.save(record);

  ShimProcess shim(paths_.shim, shim_plan, cgroup);

  VsockSetup vsock = set_up_vsock(vm_dir.paths(), vm_user, driver, vm_config.name);
  vm_config.kernel = vm_dir.paths().kernel();
  vm_config.initrd = vm_dir.paths().initrd();
  vm_config.firmware = vm_dir.paths().firmware();
  vm_config.console_log = vm_dir.paths().console_log();
  vm_config.kernel_arguments =
      plan_kernel_arguments(config_, driver.kernel_arguments(accelerator),
                            vsock.announcement->port(), needs_privileged_ports(vsock));
  vm_config.vsock = vsock.config;
  vm_config.shared_directories = {{vm_dir.paths().shared(), guestcomm::share_tag}};

  const auto hypervisor = connect_({.uri = config_.uri});
  hypervisor::BootedVm vm =
      step("start the VM", [&] { return hypervisor::BootedVm(driver, *hypervisor, vm_config); });
  cgroup.add(vm.get().process.pid);
  for (const ProcessIdentity& helper : vm.get().helpers) cgroup.add(helper.pid);
  const std::optional<ProcessIdentity> shim_identity = identify_process(shim.pid());
  if (!shim_identity) throw Error(Errc::peer_lost, "the shim ended before the VM was there");
  vsock.keeper.hand_over(
      {.vm = vm.get().process, .helpers = vm.get().helpers, .shims = {*shim_identity}});

  // While the guest boots: the hooks, for which the shim's pid leads to the namespaces.
  oci::State hook_state = record.to_state();
  hook_state.pid = shim.pid();
  run_hooks(bundle.spec.hooks.prestart, "prestart", hook_state);
  run_hooks(bundle.spec.hooks.create_runtime, "createRuntime", hook_state);

  const guestcomm::GuestAccess access{.address = address_of(vsock, vm.get()), .secret = secret};
  await_agent(*vsock.announcement, access.address, vm.get().process, vm_dir.paths(),
              config_.boot_timeout);
  guestcomm::AgentClient agent(access, connect_patience);
  StreamConnections streams = open_streams(access);
  agent.create_container({.id = request.id, .spec = guest.spec, .stdio = streams.tokens},
                         create_patience);
  guestcomm::AgentClient shim_agent(access, connect_patience);
  const UniqueFd shim_control = shim_agent.release();
  shim.hand_over({request.id, {}}, shim_control.get(),
                 guestcomm::with_each_end(streams.sockets,
                                          [](const UniqueFd& socket) { return socket.get(); }));

  record.shim = identify_process(shim.pid());
  if (!record.shim) throw Error(Errc::peer_lost, "the shim ended before the container was created");
  record.vm = VmRecord{.id = vm_id,
                       .name = vm.get().name,
                       .process = vm.get().process,
                       .helpers = vm.get().helpers,
                       .guest = access};
  dir.save(record);
  throw_if_cancelled();
  if (request.pid_file) write_pid_file(*request.pid_file, shim.pid());
  shim.keep();
  vm.keep();
  cgroup.keep();
  vm_dir.keep();
  dir.keep();
  return {.shim_pid = shim.pid()};
}

}  // namespace husk::runtime
