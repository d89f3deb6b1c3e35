// SPDX-License-Identifier: Apache-2.0
#include "lib/runtime/vm/vm_boot.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/stat.h>

#include <algorithm>
#include <fstream>
#include <initializer_list>

#include "lib/base/error.hpp"
#include "lib/base/log.hpp"
#include "lib/base/mount_namespace.hpp"
#include "lib/base/text.hpp"
#include "lib/base/trace.hpp"
#include "lib/guestcomm/link/listen.hpp"
#include "lib/guestcomm/protocol/protocol_range.hpp"
#include "lib/guestcomm/protocol/share.hpp"
#include "lib/hypervisor/vm_id.hpp"
#include "lib/runtime/host/virtiofsd.hpp"
#include "lib/runtime/plan/plan.hpp"
#include "lib/runtime/vm/adoption.hpp"
#include "lib/runtime/vm/container_network.hpp"
#include "lib/runtime/vm/keeper_plan.hpp"
#include "lib/runtime/vm/other_mount_namespace.hpp"
#include "lib/runtime/vm/share_socket.hpp"
#include "lib/systemd/scope.hpp"

namespace husk::runtime {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t shown_console_bytes = 1500;
constexpr std::chrono::seconds helper_patience{5};  ///< for their end after SIGKILL

/// Shows systemd the VM's directory, so that the keeper can be a service. Where that fails, husk forks the keeper.
void show_to_systemd(const VmPaths& paths) {
  if (!systemd::is_running()) return;
  if (const UniqueFd systemds = other_mount_namespace(1))
    warn_on_failure([&] { show_vm_directory(paths, systemds.get()); });
}

bool writes_console(const VmPlan& plan) { return !hypervisor::driver_for(plan.uri).uses_virtlogd; }

Console make_console(const VmPlan& plan, const VmPaths& paths) {
  if (!writes_console(plan)) return {};
  return step("the guest's console", [&] {
    const std::string fifo = paths.console_fifo(), log = paths.console_log();
    check_sys(::mkfifo(fifo.c_str(), 0600), "make " + fifo);
    Console console;
    console.fifo.reset(
        check_sys(::open(fifo.c_str(), O_RDWR | O_NOFOLLOW | O_CLOEXEC), "open " + fifo));
    console.log.reset(
        check_sys(::open(log.c_str(), O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600),
                  "make " + log));
    return console;
  });
}

/// Starts the keeper, with the vsock device where the host's kernel has none.
handoff::VmKeeper make_keeper(const VmPlan& plan, const VmPaths& paths, const ShareServer& share,
                              const Console& console) {
  show_to_systemd(paths);
  handoff::KeeperSetup setup = plan_keeper(plan);
  setup.files = {.setup = file_server_setup(plan.files, identify_virtiofsd(plan.files.program)),
                 .socket = share.socket.get(),
                 .log = share.log.get()};
  setup.console_fifo = console.fifo.get();
  setup.console_log = console.log.get();
  if (plan.vsock_device != VsockDeviceIs::program) return handoff::VmKeeper(std::move(setup));
  const handoff::VsockUsers users{.device = hypervisor::device_uid(plan.id),
                                  .hypervisor = plan.user.uid};
  return {paths.vsock(), users, std::move(setup)};
}

VsockSockets vsock_sockets(const VmPlan& plan, const VmPaths& paths,
                           const handoff::VmKeeper& keeper) {
  switch (plan.vsock_device) {
    case VsockDeviceIs::host_kernel:
      break;
    case VsockDeviceIs::program:
      return {.hybrid = keeper.host_socket(), .vhost_user = keeper.device_socket()};
    case VsockDeviceIs::hypervisor:
      return {.hybrid = paths.vsock_device() / handoff::vsock_socket, .vhost_user = {}};
  }
  return {};
}

std::unique_ptr<guestcomm::Announcement> listen(const VmPlan& plan, const VsockSockets& vsock) {
  if (!vsock.hybrid) return guestcomm::listen_vsock();
  const unsigned device =
      plan.vsock_device == VsockDeviceIs::program ? hypervisor::device_uid(plan.id) : plan.user.uid;
  return guestcomm::listen_hybrid(*vsock.hybrid, device, device);
}

hypervisor::VmConfig whole_config(const VmPlan& plan, const VmPaths& paths,
                                  const VsockSockets& vsock,
                                  const guestcomm::Announcement& announcement) {
  hypervisor::VmConfig config = plan.vm;
  config.kernel = paths.kernel();
  config.initrd = paths.initrd();
  if (!plan.assets.firmware.empty()) config.firmware = paths.firmware();
  config.directory = paths.directory;
  config.console_log = writes_console(plan) ? paths.console_fifo() : paths.console_log();
  config.show_files = [paths](int ns) { show_vm_directory(paths, ns); };
  config.shared_directories = {{paths.share_socket(), guestcomm::share_tag}};
  config.vsock = {.vhost_user_socket = vsock.vhost_user, .hybrid_socket = vsock.hybrid};
  // Where every user of the host can reach the guest, privileged ports are root's for sure. In front,
  // so that the administrator's arguments are the last.
  config.kernel_arguments =
      plan_vsock_arguments(announcement.port(), /*privileged_ports=*/!vsock.hybrid) + " " +
      config.kernel_arguments;
  return config;
}

/// A descriptor that is readable while one of them is.
UniqueFd watch_all(std::initializer_list<int> descriptors) {
  UniqueFd all(check_sys(::epoll_create1(EPOLL_CLOEXEC), "epoll_create1"));
  for (const int fd : descriptors) {
    epoll_event readable{.events = EPOLLIN, .data = {}};
    check_sys(::epoll_ctl(all.get(), EPOLL_CTL_ADD, fd, &readable), "epoll_ctl");
  }
  return all;
}

/// The end of the guest's console as one line, for the error's text. The bytes are the guest's: only
/// plain ones are shown.
std::string console_end(const fs::path& console_log) {
  std::ifstream file(console_log, std::ios::binary | std::ios::ate);
  if (!file) return "the guest's console is empty";
  const auto size = static_cast<std::size_t>(file.tellg());
  const std::size_t length = std::min(size, shown_console_bytes);
  std::string text(length, '\0');
  file.seekg(static_cast<std::streamoff>(size - length));
  file.read(text.data(), static_cast<std::streamsize>(length));
  const std::string line = one_plain_line(text);
  if (line.empty()) return "the guest's console is empty";
  return "the guest's console ended with: " + line;
}

}  // namespace

BootingVm::BootingVm(const VmPlan& plan, const hypervisor::ConnectHypervisor& connect)
    : paths_(plan.id),
      share_{listen_for_hypervisor(paths_.share_socket(), plan.user.uid), make_bounded_log()},
      console_(make_console(plan, paths_)),
      keeper_(make_keeper(plan, paths_, share_, console_)),
      vsock_(vsock_sockets(plan, paths_, keeper_)),
      announcement_(listen(plan, vsock_)),
      hypervisor_(connect({.uri = plan.uri})) {
  const Span span("libvirt");
  step("start the VM", [&] { start(plan); });
}

void BootingVm::start(const VmPlan& plan) {
  const ProcessIdentity server = keeper_.file_server();
  share_.socket.reset();  // the server's alone: the hypervisor sees when that ends
  try {
    vm_.emplace(hypervisor::driver_for(plan.uri), *hypervisor_,
                whole_config(plan, paths_, vsock_, *announcement_));
  } catch (const Error& e) {
    throw console_.fifo ? explain(e) : with_log(e);
  }
  console_ = {};  // the keeper's alone
  // Its first process waits for the one that serves, in namespaces of its own.
  helpers_ = {server};
  const std::vector<ProcessIdentity> children = children_of(server);
  helpers_.insert(helpers_.end(), children.begin(), children.end());
}

/// The helpers end with the VM, a moment later: the container's cgroup, which goes next, must be empty by then.
BootingVm::~BootingVm() {
  if (is_kept_) return;
  vm_.reset();
  for (const ProcessIdentity& helper : helpers_)
    warn_on_failure([&] { kill_process(helper, helper_patience); });
}

/// virtiofsd makes short-lived children when it starts.
void BootingVm::move_helpers(HostCgroup& cgroup) {
  for (const ProcessIdentity& helper : helpers_) {
    try {
      cgroup.add(helper.pid);
    } catch (const Error& e) {
      if (is_alive(helper) || helper == helpers_.front()) throw with_log(e);
    }
  }
  std::erase_if(helpers_, [](const ProcessIdentity& helper) { return !is_alive(helper); });
}

void BootingVm::adopt(const ProcessIdentity& shim, HostCgroup& cgroup,
                      const std::vector<hypervisor::NetworkCard>& cards) {
  const Span span("VM's cgroup, keeper and taps");
  cgroup.add(get().process.pid);
  move_helpers(cgroup);
  hand_over(keeper_, paths_, {get().process, helpers_}, shim);
  place_taps(cards, shim);
}

void BootingVm::park(HostCgroup& cgroup, const std::vector<hypervisor::NetworkCard>& cards) {
  const Span span("VM's cgroup, keeper and taps");
  cgroup.add(get().process.pid);
  const UniqueFd claims = handoff::listen_for_claim(paths_.claims());
  keeper_.hand_over({.vm = get().process, .helpers = helpers_, .claims = claims.get()});
  park_taps(cards, paths_.parked_network());
}

guestcomm::GuestAddress BootingVm::address() const {
  if (vsock_.hybrid) return guestcomm::HybridAddress{vsock_.hybrid->string()};
  return guestcomm::VsockAddress{get().cid.value()};
}

int BootingVm::await_agent(std::chrono::seconds patience) const {
  try {
    const UniqueFd vm_gone = open_process(get().process);
    if (!vm_gone) throw Error(Errc::peer_lost, "the VM ended");
    const UniqueFd gone = watch_all({vm_gone.get(), keeper_.end()});
    const auto protocols = announcement_->wait(address(), gone.get(), patience);
    return guestcomm::agree(protocols, guestcomm::own_protocols);
  } catch (const Error& e) {
    const std::string reason = is_keeper_gone() ? "the VM's keeper ended" : e.what();
    throw explain(Error(e.code(), "the guest did not come up: " + reason));
  }
}

/// The keeper ends after a VM that ended.
bool BootingVm::is_keeper_gone() const {
  pollfd polled{keeper_.end(), POLLIN, 0};
  return is_alive(get().process) && ::poll(&polled, 1, 0) > 0;
}

Error BootingVm::explain(const Error& error) const {
  return with_log(
      {error.code(), std::string(error.what()) + "; " + console_end(paths_.console_log())});
}

/// The same error with what virtiofsd has said, which warns and fails only.
Error BootingVm::with_log(const Error& error) const {
  const std::string said = beginning_of_log(share_.log.get());
  return said.empty()
             ? error
             : Error(error.code(), std::string(error.what()) + "; virtiofsd said: " + said);
}

}  // namespace husk::runtime
