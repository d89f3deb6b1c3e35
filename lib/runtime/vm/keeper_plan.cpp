// SPDX-License-Identifier: Apache-2.0
#include "lib/runtime/vm/keeper_plan.hpp"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/error.hpp"
#include "lib/base/mount_namespace.hpp"
#include "lib/guestcomm/link/vm_keeper_process.hpp"
#include "lib/hypervisor/driver.hpp"
#include "lib/hypervisor/vm_id.hpp"
#include "lib/hypervisor/vm_process.hpp"
#include "lib/runtime/plan/vm_paths.hpp"
#include "lib/runtime/vm/container_network.hpp"
#include "lib/runtime/vm/forwarded_connection.hpp"
#include "lib/runtime/vm/other_mount_namespace.hpp"
#include "lib/runtime/vm/vm_record.hpp"
#include "lib/systemd/scope.hpp"
#include "lib/systemd/service.hpp"

namespace husk::runtime {
namespace {

using Members = std::vector<VmMember>;

guestcomm::AbandonedVm plan_abandoned(const std::string& vm_id, const std::string& uri,
                                      const std::string& vm_name) {
  const hypervisor::Driver& driver = hypervisor::driver_for(uri);
  return {.find = [&driver, vm_name] { return hypervisor::find_vm_process(driver, vm_name); },
          .directory = VmPaths(vm_id).directory};
}

/// Tells the keeper what to do with the VM's network, and for whom to keep the VM.
guestcomm::KeeperCallbacks plan_callbacks(const std::string& vm_id,
                                          const hypervisor::ConnectHypervisor& connect) {
  return {.on_change = [=] { follow_network(vm_id, connect); },
          .on_connection = [=](UniqueFd client) { forward_connection(vm_id, std::move(client)); },
          // Reads a record of any version: the keeper may be older than the husk that wrote it.
          .find_shims =
              [=] { return live_shims(load_vm_left_overs(vm_id).members.value_or(Members{})); }};
}

bool is_shown_to_systemd(const VmPaths& paths) {
  const UniqueFd systemds = other_mount_namespace(1);
  return !systemds || shows_vm_directory_in(paths, systemds.get());
}

guestcomm::LaunchKeeper plan_launch(const std::string& vm_id, const std::filesystem::path& program,
                                    bool has_device) {
  // A service is in systemd's mount namespace.
  if (!systemd::is_running() || !is_shown_to_systemd(VmPaths(vm_id))) return {};
  systemd::ServicePlan plan{.name = "husk-keeper-" + vm_id + ".service",
                            .description = "husk keeper of VM " + vm_id,
                            .command = {program.string(), "keep-vm", vm_id}};
  if (has_device) plan.command.push_back("--device");
  return [plan](int socket) {
    systemd::ServicePlan whole = plan;
    whole.standard_input = socket;
    systemd::start_service(whole);
  };
}

/// Not one of the numbers of the standard streams, which the keeper gives up.
int take_keeper_socket() {
  int type = 0;
  socklen_t size = sizeof type;
  if (::getsockopt(STDIN_FILENO, SOL_SOCKET, SO_TYPE, &type, &size) != 0 || type != SOCK_SEQPACKET)
    throw Error(Errc::invalid_argument, "keep-vm: only husk itself may run this command");
  return check_sys(::fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3), "duplicate a descriptor");
}

}  // namespace

guestcomm::KeeperSetup plan_keeper(const std::string& vm_id, const std::string& uri,
                                   const std::string& vm_name,
                                   const hypervisor::ConnectHypervisor& connect,
                                   const std::filesystem::path& program, bool has_device) {
  return {.abandoned = plan_abandoned(vm_id, uri, vm_name),
          .callbacks = plan_callbacks(vm_id, connect),
          .launch = plan_launch(vm_id, program, has_device)};
}

void keep_vm(const KeepRequest& request, const hypervisor::ConnectHypervisor& connect) {
  const int socket = take_keeper_socket();
  const VmRecord record = load_vm(request.vm_id);
  std::optional<guestcomm::VhostDeviceSetup> device;
  if (request.has_device)
    device = {.directory = VmPaths(record.id).vsock().string(),
              .uid = hypervisor::device_uid(record.id)};
  guestcomm::run_vm_keeper(
      socket, DetachedCgroups::unchanged, device,
      {plan_abandoned(record.id, record.uri, record.name), plan_callbacks(record.id, connect)});
}

}  // namespace husk::runtime
