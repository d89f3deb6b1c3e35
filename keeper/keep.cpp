// SPDX-License-Identifier: Apache-2.0
#include "keeper/keep.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <exception>
#include <initializer_list>
#include <memory>
#include <optional>
#include <variant>
#include <vector>

#include "keeper/change_follower.hpp"
#include "keeper/clock_follower.hpp"
#include "keeper/connection_server.hpp"
#include "keeper/console_log.hpp"
#include "keeper/file_server.hpp"
#include "keeper/kill_counter.hpp"
#include "keeper/vhost_device.hpp"
#include "keeper/worker.hpp"
#include "lib/base/detach.hpp"
#include "lib/base/error.hpp"
#include "lib/base/log.hpp"
#include "lib/base/process.hpp"

namespace husk::keeper {
namespace {

using namespace std::chrono_literals;
using std::chrono::milliseconds;

constexpr milliseconds kill_patience = 10s;  ///< a process in a system call that hangs stays longer

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
constexpr milliseconds pod_interval =
    1s;  ///< between looks whether a pod without a container is there

/// A negative one has no end.
milliseconds sooner(milliseconds a, milliseconds b) {
  if (a < 0ms || b < 0ms) return std::max(a, b);
  return std::min(a, b);
}

bool is_there(const IsPodThere& is_pod_there) {
  try {
    return is_pod_there && is_pod_there();
  } catch (const Error& e) {
    // A shortage says nothing about the pod: the next look does.
    return e.sys_errno() == ENOMEM || e.sys_errno() == EMFILE || e.sys_errno() == ENFILE;
  }
}

bool has_ended(int pidfd) { return await_any({pidfd}, 0ms); }

void end_after(int pidfd, milliseconds grace) {
  if (await_any({pidfd}, grace)) return;
  ::syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, nullptr, 0U);
  await_any({pidfd}, kill_patience);
}

/// Finds the shims of containers that came into the VM later. False: there are none.
bool find_later_shims(handoff::KeptProcesses& kept, const FindShims& find) {
  if (!find) return false;
  warn_on_failure([&] {
    for (const ProcessIdentity& shim : find())
      if (UniqueFd pidfd = open_process(shim)) kept.shims.push_back(std::move(pidfd));
  });
  return !kept.shims.empty();
}

/// The keeper's work for a VM that runs.
class Watch {
 public:
  /// fills_pool: the VM comes from the pool, or found the pool without one.
  Watch(handoff::KeptProcesses& kept, const Duties& duties, bool fills_pool)
      : kept_(kept),
        duties_(duties),
        is_for_shims_(!kept.shims.empty()),
        follower_(std::move(kept.changes), duties.on_change),
        kills_(std::move(kept.kills), duties.on_kill),
        clock_(duties.on_clock),
        server_(std::move(kept.listener), [this](UniqueFd connection) {
          kept_.held.reset();  // the keeper's to hold, not its child's
          duties_.on_connection(std::move(connection));
        }) {
    if (fills_pool && duties.on_claimed) refill_.begin(duties.on_claimed);
  }

  /// Returns when the VM is gone, or has to be ended.
  void run() {
    // The guest of a pod does not power off by itself.
    const milliseconds grace = duties_.is_pod_there ? 0ms : duties_.patience.power_off;
    do {
      await_last_shim();
      // A container that joins just then may be too late for the guest, never for the keeper.
    } while (!is_helper_gone() && !await_any({kept_.vm.get()}, grace) &&
             find_later_shims(kept_, duties_.find_shims));
  }

 private:
  bool is_last_shim_gone() {
    return is_for_shims_ && kept_.shims.empty() && !find_later_shims(kept_, duties_.find_shims) &&
           !is_there(duties_.is_pod_there);
  }

  /// Without virtiofsd the guest waits for ever for each file that is not in its memory.
  bool is_helper_gone() const {
    return std::any_of(kept_.helpers.begin(), kept_.helpers.end(),
                       [](const UniqueFd& helper) { return has_ended(helper.get()); });
  }

  /// How long to wait for an event. A container that joins an idle pod tells the keeper nothing.
  milliseconds patience() const {
    const milliseconds work =
        sooner(sooner(follower_.patience(), kills_.patience()), clock_.patience());
    if (!duties_.is_pod_there || !kept_.shims.empty()) return work;
    return sooner(work, pod_interval);
  }

  void await_last_shim() {
    while (!is_last_shim_gone() && !is_helper_gone() && !has_ended(kept_.vm.get())) {
      std::vector<int> watched{kept_.vm.get()};
      for (const UniqueFd& shim : kept_.shims) watched.push_back(shim.get());
      for (const UniqueFd& helper : kept_.helpers) watched.push_back(helper.get());
      follower_.add_to(watched);
      kills_.add_to(watched);
      clock_.add_to(watched);
      server_.add_to(watched);
      refill_.add_to(watched);
      await_any(watched, patience());
      follower_.handle();
      kills_.handle();
      clock_.handle();
      server_.handle();
      refill_.finish();
      std::erase_if(kept_.shims, [](const UniqueFd& shim) { return has_ended(shim.get()); });
    }
  }

  handoff::KeptProcesses& kept_;
  const Duties& duties_;
  bool is_for_shims_;
  ChangeFollower follower_;
  KillCounter kills_;
  ClockFollower clock_;
  ConnectionServer server_;
  Worker refill_;
};

/// The time of a VM in the pool, until somebody connects and gives the VM to a container: the container's shim, and all that
/// the keeper watches for it. Empty: the VM has to be ended. The claimer's socket lasts as long as `connection`.
std::optional<handoff::KeptProcesses> await_claim(handoff::KeptProcesses& spare,
                                                  UniqueFd& connection) {
  std::vector<int> ends{spare.vm.get()};
  for (const UniqueFd& helper : spare.helpers) ends.push_back(helper.get());
  const auto comes = [&](int awaited) {
    std::vector<int> watched = ends;
    watched.push_back(awaited);
    await_any(watched, for_ever);
    return !await_any(ends, 0ms);
  };
  if (!comes(spare.claims.get())) return std::nullopt;
  connection.reset(::accept4(spare.claims.get(), nullptr, nullptr, SOCK_CLOEXEC));
  spare.claims.reset();
  if (!connection) return std::nullopt;
  try {
    handoff::send_greeting(connection.get(), -1);
    if (!comes(connection.get())) return std::nullopt;
    handoff::KeeperOrder order = handoff::receive_order(connection.get());
    if (auto* const claimed = std::get_if<handoff::KeptProcesses>(&order))
      return std::move(*claimed);
  } catch (const Error&) {
    // Not what husk says: as if the claimer had been killed.
  }
  return std::nullopt;
}

/// Waits for the order, or for the end of a device that husk waits for.
handoff::KeeperOrder await_order(const UniqueFd& socket, const VhostDevice* device) {
  await_any({socket.get(), device != nullptr ? device->pidfd() : -1}, for_ever);
  if (!await_any({socket.get()}, 0ms)) return handoff::NoVm{};
  return handoff::receive_order(socket.get());
}

/// A husk that has said something already has given this keeper up: another one has the VM.
bool is_wanted(const UniqueFd& socket) { return !await_any({socket.get()}, 0ms); }

/// Empty where husk wants none.
std::unique_ptr<FileServer> start_file_server(handoff::KeeperBegin& begin, const UniqueFd& socket) {
  std::unique_ptr<FileServer> server;
  if (begin.files && is_wanted(socket))
    server =
        std::make_unique<FileServer>(*begin.files, begin.files_socket.get(), begin.files_log.get());
  // Nobody but the server: the hypervisor sees when it has gone.
  begin.files_socket.reset();
  begin.files_log.reset();
  return server;
}

/// `device`: the caller's, to see whether one ran.
void keep(UniqueFd socket, const handoff::KeeperBegin& begin, const Duties& duties,
          std::optional<VhostDevice>& device) {
  if (begin.device && is_wanted(socket)) device.emplace(*begin.device);
  handoff::KeeperOrder order = await_order(socket, device ? &*device : nullptr);
  if (std::holds_alternative<handoff::AbandonedVm>(order) && duties.end_abandoned)
    duties.end_abandoned();
  auto* const kept = std::get_if<handoff::KeptProcesses>(&order);
  if (kept == nullptr) return;
  socket.reset();
  UniqueFd claimer;
  const bool is_spare = static_cast<bool>(kept->claims);
  auto claimed = is_spare ? await_claim(*kept, claimer) : std::nullopt;
  if (claimed) *kept = std::move(*claimed);
  if (!is_spare || claimed) Watch(*kept, duties, is_spare || begin.fills_pool).run();
  end_after(kept->vm.get(), 0ms);
  for (const UniqueFd& helper : kept->helpers) end_after(helper.get(), duties.patience.helper);
}

/// The directory with the device's sockets; empty: the keeper runs no device.
UniqueFd open_directory(const handoff::KeeperBegin& begin) {
  if (!begin.device) return {};
  return UniqueFd(::open(begin.device->directory.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
}

}  // namespace

void run(int socket, const MakeDuties& make_duties) noexcept {
  try {
    handoff::KeeperBegin begin = handoff::receive_begin(socket);
    const UniqueFd directory = open_directory(begin);
    std::vector<int> kept{socket};
    for (const UniqueFd* fd : std::initializer_list<const UniqueFd*>{
             &directory, &begin.husk, &begin.files_socket, &begin.files_log, &begin.console_fifo,
             &begin.console_log})
      if (*fd) kept.push_back(fd->get());
    detach_process(kept, begin.leave_cgroups ? DetachedCgroups::root : DetachedCgroups::unchanged);
    ::prctl(PR_SET_NAME, "husk-keeper", 0, 0, 0);
    UniqueFd order(socket);
    // husk sees this process end only after the sockets and the file server are gone.
    const UniqueFd hold(::fcntl(order.get(), F_DUPFD_CLOEXEC, STDERR_FILENO + 1));
    const auto files = start_file_server(begin, order);
    std::optional<ConsoleLog> console;
    if (begin.console_fifo && is_wanted(order))
      console.emplace(std::move(begin.console_fifo), std::move(begin.console_log));
    handoff::send_greeting(order.get(), files ? files->pidfd() : -1);
    std::optional<VhostDevice> device;
    keep(std::move(order), begin, make_duties(begin), device);
    if (device && directory) {
      device.reset();
      handoff::remove_vhost_sockets(directory.get());
    }
  } catch (const std::exception&) {
    ::_exit(1);
  }
  ::_exit(0);
}

}  // namespace husk::keeper
