// SPDX-License-Identifier: Apache-2.0
#include "lib/guestcomm/link/vm_keeper_process.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <exception>
#include <span>

#include "lib/base/descriptors.hpp"
#include "lib/base/error.hpp"
#include "lib/base/log.hpp"
#include "lib/guestcomm/link/change_follower.hpp"
#include "lib/guestcomm/link/connection_server.hpp"

namespace husk::guestcomm {
namespace {

using namespace std::chrono_literals;
using std::chrono::milliseconds;

constexpr milliseconds power_off_grace = 5s;      ///< the guest's, after its last shim
constexpr milliseconds helper_grace = 2s;         ///< virtiofsd's, after QEMU
constexpr milliseconds abandoned_patience = 60s;  ///< libvirt's, to go on with what husk began
constexpr int keeper_look_again_ms = 100;
constexpr milliseconds kill_patience = 10s;  ///< a process in a system call that hangs stays longer

struct CountsMessage {
  std::uint8_t helpers, shims, changes, listener,
      held;  ///< how many, in the order of their sending
};

/// A husk that went without having read the greeting leaves an error instead of an end of file.
std::size_t receive_or_end(int socket, std::span<char> buffer, std::vector<UniqueFd>& descriptors) {
  try {
    return receive_with_descriptors(socket, buffer, descriptors);
  } catch (const Error& e) {
    if (e.sys_errno() == ECONNRESET) return 0;
    throw;
  }
}

/// Empty: there will be no VM, or (`abandoned`) husk went without telling.
std::optional<KeptProcesses> receive_kept_processes(int socket, bool& abandoned) {
  CountsMessage counts{};
  std::vector<UniqueFd> all;
  const std::size_t received =
      receive_or_end(socket, {reinterpret_cast<char*>(&counts), sizeof counts}, all);
  abandoned = received == 0;
  if (received != sizeof counts) return std::nullopt;
  if (all.size() != std::size_t{1} + counts.helpers + counts.shims + counts.changes +
                        counts.listener + counts.held)
    return std::nullopt;
  auto next = all.begin();
  KeptProcesses processes;
  processes.vm = std::move(*next++);
  for (int n = 0; n < counts.helpers; ++n) processes.helpers.push_back(std::move(*next++));
  for (int n = 0; n < counts.shims; ++n) processes.shims.push_back(std::move(*next++));
  if (counts.changes != 0) processes.changes = std::move(*next++);
  if (counts.listener != 0) processes.listener = std::move(*next++);
  if (counts.held != 0) processes.held = std::move(*next++);
  return processes;
}

/// Whether one of them became readable (for pidfds: ended) in time; empty ones are left out.
bool await_any(const std::vector<int>& descriptors, milliseconds patience) {
  std::vector<pollfd> polled;
  polled.reserve(descriptors.size());
  for (const int fd : descriptors) polled.push_back({fd, POLLIN, 0});
  int count = 0;
  do {
    count = ::poll(polled.data(), polled.size(), static_cast<int>(patience.count()));
  } while (count < 0 && errno == EINTR);
  return count > 0;
}

constexpr milliseconds for_ever{-1};

bool has_ended(int pidfd) { return await_any({pidfd}, 0ms); }

void end_after(int pidfd, milliseconds grace) {
  if (await_any({pidfd}, grace)) return;
  ::syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, nullptr, 0U);
  await_any({pidfd}, kill_patience);
}

/// Finds the shims of containers that came into the VM later. False: there are none.
bool find_later_shims(KeptProcesses& kept, const FindShims& find) {
  if (!find) return false;
  warn_on_failure([&] {
    for (const ProcessIdentity& shim : find())
      if (UniqueFd pidfd = open_process(shim)) kept.shims.push_back(std::move(pidfd));
  });
  return !kept.shims.empty();
}

/// What the keeper does for a VM that runs.
class Watch {
 public:
  Watch(KeptProcesses& kept, const KeeperCallbacks& callbacks)
      : kept_(kept),
        callbacks_(callbacks),
        is_for_shims_(!kept.shims.empty()),
        follower_(std::move(kept.changes), callbacks.on_change),
        server_(std::move(kept.listener), [this](UniqueFd connection) {
          kept_.held.reset();  // the keeper's to hold, not its child's
          callbacks_.on_connection(std::move(connection));
        }) {}

  /// Returns when the VM is gone, or has to be ended.
  void run() {
    do {
      await_last_shim();
      // Who joins it just then may be too late for the guest, but never is for the keeper.
    } while (!is_helper_gone() && !await_any({kept_.vm.get()}, power_off_grace) &&
             find_later_shims(kept_, callbacks_.find_shims));
  }

 private:
  bool is_last_shim_gone() {
    return is_for_shims_ && kept_.shims.empty() && !find_later_shims(kept_, callbacks_.find_shims);
  }

  /// Then every file of the guest's that is not in its memory stands still, for ever.
  bool is_helper_gone() const {
    return std::any_of(kept_.helpers.begin(), kept_.helpers.end(),
                       [](const UniqueFd& helper) { return has_ended(helper.get()); });
  }

  void await_last_shim() {
    while (!is_last_shim_gone() && !is_helper_gone() && !has_ended(kept_.vm.get())) {
      std::vector<int> watched{kept_.vm.get()};
      for (const UniqueFd& shim : kept_.shims) watched.push_back(shim.get());
      for (const UniqueFd& helper : kept_.helpers) watched.push_back(helper.get());
      follower_.add_to(watched);
      server_.add_to(watched);
      await_any(watched, follower_.patience());
      follower_.handle();
      server_.handle();
      std::erase_if(kept_.shims, [](const UniqueFd& shim) { return has_ended(shim.get()); });
    }
  }

  KeptProcesses& kept_;
  const KeeperCallbacks& callbacks_;
  bool is_for_shims_;
  ChangeFollower follower_;
  ConnectionServer server_;
};

/// libvirt may still be starting it.
void end_abandoned(const AbandonedVm& abandoned) {
  if (!abandoned.find) return;
  const auto deadline = std::chrono::steady_clock::now() + abandoned_patience;
  std::error_code unknown;
  while (std::filesystem::exists(abandoned.directory, unknown) &&
         std::chrono::steady_clock::now() < deadline) {
    if (const std::optional<ProcessIdentity> vm = abandoned.find()) {
      if (const UniqueFd pidfd = open_process(*vm)) return end_after(pidfd.get(), 0ms);
    }
    ::poll(nullptr, 0, keeper_look_again_ms);
  }
}

void keep(UniqueFd socket, const std::optional<VhostDeviceSetup>& setup,
          const KeeperDuties& duties) {
  std::optional<VhostDevice> device;
  if (setup) device.emplace(*setup);
  await_any({socket.get(), device ? device->pidfd() : -1}, for_ever);
  // A device that ended without having served is the end: husk waits for its sockets.
  if (!await_any({socket.get()}, 0ms)) return;
  bool abandoned = false;
  std::optional<KeptProcesses> kept = receive_kept_processes(socket.get(), abandoned);
  if (abandoned) end_abandoned(duties.abandoned);
  if (!kept) return;
  socket.reset();
  Watch(*kept, duties.callbacks).run();
  end_after(kept->vm.get(), 0ms);
  for (const UniqueFd& helper : kept->helpers) end_after(helper.get(), helper_grace);
}

}  // namespace

void send_kept_processes(int socket, const KeptProcesses& processes) {
  std::vector<int> all{processes.vm.get()};
  for (const UniqueFd& helper : processes.helpers) all.push_back(helper.get());
  for (const UniqueFd& shim : processes.shims) all.push_back(shim.get());
  CountsMessage counts{.helpers = static_cast<std::uint8_t>(processes.helpers.size()),
                       .shims = static_cast<std::uint8_t>(processes.shims.size()),
                       .changes = processes.changes ? std::uint8_t{1} : std::uint8_t{0},
                       .listener = processes.listener ? std::uint8_t{1} : std::uint8_t{0},
                       .held = processes.held ? std::uint8_t{1} : std::uint8_t{0}};
  for (const UniqueFd* given : {&processes.changes, &processes.listener, &processes.held})
    if (*given) all.push_back(given->get());
  step("hand the VM over to its keeper", [&] {
    send_with_descriptors(socket, {reinterpret_cast<const char*>(&counts), sizeof counts}, all);
  });
}

void send_no_vm(int socket) noexcept { ::send(socket, "", 1, MSG_NOSIGNAL); }

void run_vm_keeper(int socket, DetachedCgroups cgroups,
                   const std::optional<VhostDeviceSetup>& device,
                   const KeeperDuties& duties) noexcept {
  try {
    std::vector<int> kept{socket};
    UniqueFd directory;
    if (device) {
      directory.reset(::open(device->directory.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
      kept.push_back(directory.get());
    }
    detach_process(kept, cgroups);
    ::prctl(PR_SET_NAME, "husk-keeper", 0, 0, 0);
    ::send(socket, "", 1, MSG_NOSIGNAL);
    const UniqueFd hold(::dup(socket));  // husk sees us end only after the sockets are gone
    keep(UniqueFd(socket), device, duties);
    if (directory) remove_vhost_sockets(directory.get());
  } catch (const std::exception&) {
    ::_exit(1);
  }
  ::_exit(0);
}

}  // namespace husk::guestcomm
