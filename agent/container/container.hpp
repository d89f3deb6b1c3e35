// SPDX-License-Identifier: Apache-2.0
// One container: its cgroup, and the processes in it that the host asked for.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "agent/container/container_setup.hpp"
#include "agent/container/namespace_table.hpp"
#include "agent/container/notify_socket.hpp"
#include "agent/container/oom_watch.hpp"
#include "agent/container/process.hpp"
#include "agent/container/statistics.hpp"
#include "agent/container/tmpfs_table.hpp"
#include "agent/loop/event_loop.hpp"
#include "agent/loop/helper_process.hpp"
#include "agent/request/request.hpp"
#include "agent/setup/cgroup.hpp"
#include "agent/setup/shared_files.hpp"
#include "lib/guestcomm/protocol/process_messages.hpp"
#include "lib/oci/spec.hpp"

namespace husk::agent {

struct ContainerSetup {
  std::string id;
  oci::Spec spec;
  guestcomm::Stdio<UniqueFd> stdio;  ///< of the first process, to the host
  std::filesystem::path cgroup_parent;
  std::string notify_socket{};  ///< in the container; empty: none
  std::string hook_state{};     ///< for startContainer hooks (create_messages.hpp)
  std::vector<guestcomm::NamespaceUse> namespaces{};
  NamespaceTable* namespace_table = nullptr;  ///< where those are; may be null if there are none
  std::vector<guestcomm::SharedTmpfs> shared_tmpfs{};
  TmpfsTable* tmpfs_table = nullptr;  ///< where those are; null: the binds are made
  bool waits = false;                 ///< its first process is told to proceed by another
  /// Before the first process is started, in a helper process. It may never return.
  std::function<void(pid_t first)> forget_files = forget_shared_files;
};

struct ExecSetup {
  oci::Process spec;
  guestcomm::Stdio<UniqueFd> stdio;  ///< to the host
  std::string cgroup;                ///< below the container's; empty: that itself
};

/// To a connection: that a process has exited, to who owns it; what happens to a container, to who
/// watches it; what a container says by sd_notify(3), and kills for want of memory while
/// it runs, to who owns its first process.
struct Notify {
  std::function<void(ConnectionId, const guestcomm::ProcessExited&)> exited;
  std::function<void(ConnectionId, const guestcomm::ContainerEvent&)> event;
  std::function<void(ConnectionId, const guestcomm::SdNotify&)> sd_notify;
  std::function<void(ConnectionId, const guestcomm::ContainerEvent&)> kill = {};
};

class Container {
 public:
  static constexpr std::size_t max_processes = 1024;  ///< that the host asked for

  /// Begins to make it. `created` is answered when its first process waits for the start order, or
  /// with the error once nothing is left of it. `on_stopped` is called once, when all processes
  /// have stopped: with the first end the others. Throws Error; then neither is called.
  Container(EventLoop& loop, ContainerSetup setup, Reply created, Notify notify,
            std::function<void(Container&)> on_stopped);
  Container(const Container&) = delete;
  Container& operator=(const Container&) = delete;
  ~Container();

  const std::string& id() const noexcept { return id_; }
  Process& process(const std::string& name);  ///< throws not_found
  Process& first() const { return *processes_.at({}); }
  /// Its processes, with the ones that they made.
  std::vector<pid_t> all_processes() const { return cgroup_.processes(); }
  bool is_stopped() const;  ///< all of its processes have
  const oci::Spec& spec() const noexcept { return spec_; }

  /// Answers when the process runs its program. The first one's start writes the sysctls that
  /// wait for their links, and makes it see what the host changed in its files meanwhile, for which a
  /// host that does not answer has a second. Throws not_found, wrong_state, system. Another one's error,
  /// thrown or answered, is wrong_state "cannot exec in a stopped container" if the container ended
  /// meanwhile.
  void start(const std::string& name, Reply started);

  /// Begins to make a process that joins it. `created` is answered as above. A process is forgotten
  /// when it has stopped and its owner was told, or nobody is there to be told. Throws wrong_state
  /// "cannot exec in a stopped container", which also is answered when the container ends meanwhile,
  /// already_exists, unsupported.
  void add_process(const std::string& name, ExecSetup setup, Reply created);

  /// Answers when nothing of it runs any more; signals but SIGKILL wait until it is resumed. When
  /// that takes too long it runs on, and timed_out is answered. Throws wrong_state "container not
  /// running".
  void pause(Reply paused);
  void resume();  ///< fine if it is not paused. Throws wrong_state "container not running"

  /// Limits; what is not said stays. All or none. Throws wrong_state "container not running",
  /// invalid_argument, system.
  void update(const oci::Resources& resources);

  /// Throws wrong_state "container not running".
  guestcomm::ContainerStatistics statistics() const;
  /// Answers with its processes (process_list.hpp).
  void list_processes(const Reply& reply) const;
  /// From now on `watcher` is told of what happens to it. Throws wrong_state "container not running".
  void watch(ConnectionId watcher);

  /// all: for every process in it, else for the one named. Throws wrong_state "container not
  /// running", invalid_argument for a bad signal number, not_found.
  void signal(const guestcomm::SignalProcess& request);
  void kill() noexcept;  ///< SIGKILL for every process of it, in any state

  /// False: `pid` is none of its processes.
  bool handle_exit(pid_t pid, int wait_status);
  /// Ends the processes it owned; all of them, if it owned the first.
  void connection_closed(ConnectionId connection) noexcept;

 private:
  std::optional<PlacedSocket> placed_socket() const;
  void use_shared_tmpfs(const ContainerSetup& setup);
  void make_first(ContainerSetup& setup, Reply created);
  void join(const std::string& name, ExecSetup& setup, const Reply& created);
  /// Runs `join`. Its error is "cannot exec in a stopped container" if the first process has ended.
  void while_it_runs(const std::function<void()>& join) const;
  Reply unless_it_ended(Reply reply) const;  ///< the same for an error that is answered later
  std::unique_ptr<Process> make_joining(const std::string& name, ExecSetup& setup,
                                        const Reply& created);
  Reply helped(Reply created);
  void make_helper();
  void prepare_start(Reply started);
  void start_first();
  Process::Events events_for(const std::string& name, Reply created);
  void check_stopped();
  void check_running() const;
  void await_frozen(const Reply& paused, int attempts_left);
  void watch_memory();
  void tell_of_kill();
  void tell_watchers(guestcomm::ContainerEvent::Type type);
  void look_for_kills() noexcept;
  void forget_later(const std::string& name);
  void end();
  void remove_cgroup(int attempts_left);

  EventLoop& loop_;
  std::string id_;
  const std::string keyring_;   ///< its name, a secret of the container's
  GuestNamespaces namespaces_;  ///< that other containers may join
  GuestNamespaces pinned_;      ///< those that are found after the end, too
  std::vector<std::shared_ptr<const GuestTmpfs>> tmpfs_;  ///< that other containers may have, too
  bool out_of_memory_ = false;                            ///< known when it ends
  oci::Spec spec_;
  Cgroup cgroup_;
  Notify notify_;
  std::string notify_target_, hook_state_;
  std::optional<NotifySocket> notify_socket_;
  std::function<void(Container&)> on_stopped_;
  std::map<std::string, std::unique_ptr<Process>> processes_;  ///< the first one's name is empty
  std::function<void(pid_t)> forget_files_;
  std::optional<HelperProcess> start_helper_;  ///< from the first one's creation to its start
  Reply started_;                              ///< while that helper works
  std::optional<EventLoop::TimerId> retry_, freezing_, making_helper_;
  std::map<std::string, EventLoop::TimerId> forgetting_;
  std::set<ConnectionId> watchers_;
  std::optional<OomWatch> oom_watch_;  ///< where the kernel counts memory
};

}  // namespace husk::agent
