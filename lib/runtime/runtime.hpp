// SPDX-License-Identifier: Apache-2.0
// husk's API: what each command does. Stateless: everything that a later call must know is under
// the root directory.
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "lib/guestcomm/protocol/process_list.hpp"
#include "lib/guestcomm/protocol/statistics.hpp"
#include "lib/hypervisor/vm.hpp"
#include "lib/oci/state.hpp"
#include "lib/runtime/caller/requests.hpp"
#include "lib/runtime/host/config.hpp"
#include "lib/runtime/host/install_paths.hpp"
#include "lib/runtime/kill_patience.hpp"
#include "lib/runtime/record/state_store.hpp"
#include "lib/runtime/vm/host_cost.hpp"

namespace husk::runtime {

/// The commands. All throw Error; a failing operation has undone what it did. Commands for one id may run at
/// once.
class Runtime {
 public:
  Runtime(std::filesystem::path root, Config config, InstallPaths paths,
          hypervisor::ConnectHypervisor connect = hypervisor::bounded_libvirt,
          const KillPatience& kill_patience = {})
      : store_(std::move(root)),
        config_(std::move(config)),
        paths_(std::move(paths)),
        connect_(std::move(connect)),
        kill_patience_(kill_patience) {}

  /// Up to the moment before the container's process is executed. SIGINT, SIGTERM and SIGHUP undo
  /// it (see base/cancellation.hpp), in run as well until the container has started. The process
  /// must have one thread.
  CreatedContainer create(const CreateRequest& request);
  /// A failure, or one of those signals, before the process is executed ends the container.
  void start(const std::string& id);
  /// Runs one more process in a container, which may have been created only. In the foreground
  /// waits, passing on signals, and returns the exit status (0 when detached). Throws wrong_state
  /// "cannot exec in a stopped container", also where it ends meanwhile. The process must have one thread.
  int exec(const ExecRequest& request);
  /// Throws wrong_state "container not running" for a stopped one.
  void kill(const std::string& id, int signal, bool all);
  /// Freezes the container's processes, not its VM. Throws wrong_state "container not running", also
  /// for a paused one.
  void pause(const std::string& id);
  void resume(const std::string& id);  ///< throws wrong_state "container not paused"
  /// Limits of the container in the guest, and with them the size of its VM; what is not said stays. Throws wrong_state "container not running", invalid_argument.
  void update(const std::string& id, const oci::Resources& resources);
  /// What the container uses in the guest, and what its VM costs the host.
  struct Statistics {
    guestcomm::ContainerStatistics container = {};
    HostCost vm = {};
  };
  using Event = std::variant<Statistics, guestcomm::ContainerEvent>;
  using OnEvent = std::function<void(const Event&)>;
  /// Statistics and events throw wrong_state "container with id ID is not running".
  Statistics statistics(const std::string& id) const;
  /// Statistics every `interval`, and each time the guest's kernel kills a process for want of
  /// memory; until the container stops.
  void follow_events(const std::string& id, std::chrono::milliseconds interval,
                     const OnEvent& on_event) const;
  /// force: kills it first, and a container that does not exist is fine.
  void remove(const std::string& id, bool force);
  oci::State state(const std::string& id) const;
  /// The shims that stand for its processes: what callers know by pid. Throws wrong_state
  /// "container not running".
  std::vector<pid_t> host_processes(const std::string& id) const;
  /// The container's own processes, asked of the guest. Throws the same.
  guestcomm::ProcessList guest_processes(const std::string& id) const;
  std::vector<oci::State> list() const;  ///< entries that are not husk's or are broken are left out

  /// create + start; in the foreground also waits, passing on signals, and deletes unless keep.
  /// Returns the exit status (0 when detached).
  int run(const CreateRequest& request, bool keep);

 private:
  void remove_existing(const std::string& id, bool force);
  void remove_unknown(const std::string& id);
  void clean_up(const std::string& id, const LeftOvers& left);
  void shrink_vm(const std::string& vm_id) const noexcept;

  StateStore store_;
  Config config_;
  InstallPaths paths_;
  hypervisor::ConnectHypervisor connect_;
  KillPatience kill_patience_;
};

}  // namespace husk::runtime
