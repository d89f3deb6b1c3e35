// SPDX-License-Identifier: Apache-2.0
// One process that the host asked for: from clone3 to the last byte of its output.
#pragma once

#include <sys/types.h>

#include <array>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent/container/process_setup.hpp"
#include "agent/container/report.hpp"
#include "agent/loop/event_loop.hpp"
#include "agent/request/request.hpp"
#include "agent/stream/stream_copy.hpp"
#include "lib/base/error.hpp"
#include "lib/base/process.hpp"
#include "lib/base/unique_fd.hpp"
#include "lib/guestcomm/protocol/stdio.hpp"

namespace husk::agent {

struct ProcessSetup {
  guestcomm::Stdio<UniqueFd> stdio;  ///< to the host
  uid_t stream_uid = 0;              ///< whose the process's ends are: /dev/stdout must be
  gid_t stream_gid = 0;              ///< possible to open again
  std::uint64_t clone_flags = 0;     ///< its new namespaces (clone(2))
  int cgroup = -1;                   ///< directory of the cgroup it begins in
  int first = -1;                    ///< pidfd of the first process of the container it joins
  int pid_namespace = -1;            ///< that it joins: a pidfd, or the namespace itself
  std::vector<int> joined = {};      ///< other namespaces that its child joins
  std::function<void(const ChildDescriptors&)> child = {};  ///< what the child does; never returns
};

class Process {
 public:
  /// creating → created → starting → running → exited (its output is still being sent) → stopped.
  enum class State { creating, created, starting, running, exited, stopped };

  struct Events {
    /// It waits for the start order; or it has stopped and this is why.
    Reply created;
    /// Reaped. finish_streams() is to follow once nothing writes for it any more.
    std::function<void()> exited;
    /// Called once, last.
    std::function<void()> stopped;
    /// It has stopped, and this connection owns it. Called once.
    std::function<void(ConnectionId owner, int status)> tell_owner;
  };

  /// Makes the process, which waits for proceed(). Throws system; then nothing is left and no event
  /// comes.
  Process(EventLoop& loop, ProcessSetup setup, Events events);
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;
  ~Process();

  pid_t pid() const noexcept { return pid_; }          ///< -1 once reaped
  int pidfd() const noexcept { return pidfd_.get(); }  ///< likewise
  State state() const noexcept { return state_; }
  /// It has ended, or is in exit(2): nothing can join it. In any state.
  bool is_ending() const { return husk::is_ending(pid_); }
  bool was_created() const noexcept { return was_created_; }
  int status() const noexcept { return status_; }  ///< exit code or 128 + signal, once exited

  void proceed();  ///< what had to be done from outside (id maps) is done
  /// Throws wrong_state unless it is created. `started`: after exec, or with exec's error.
  void start(Reply started);
  void signal(int signal);  ///< throws wrong_state "container not running", system
  void kill() noexcept;     ///< SIGKILL, in any state

  /// Sets the size of its terminal. Throws wrong_state where there is none.
  void resize(guestcomm::WindowSize size) const;

  /// The connection that had it made holds it until another one owns it, and is not told anything.
  void lend(ConnectionId connection) noexcept { owner_ = connection; }
  /// Throws wrong_state if another connection owns it. The owner is told of an end that was before.
  void own(ConnectionId connection);
  std::optional<ConnectionId> owner() const noexcept { return owner_; }  ///< or holder
  void disown() noexcept { owner_.reset(); }

  void handle_exit(int wait_status);  ///< as waitpid(2) gave it
  /// Its processes are gone. A pipe of theirs that another process was handed stays open, so the
  /// end of the output is where it is empty now.
  void finish_streams();

 private:
  guestcomm::Stdio<UniqueFd> connect_streams(ProcessSetup& setup);
  guestcomm::Stdio<UniqueFd> connect_pipes(ProcessSetup& setup, guestcomm::Pipes<UniqueFd>& host);
  void receive_terminal();
  bool try_receive_terminal();  ///< false: error_ says why not
  void end_terminal();
  void spawn(const ProcessSetup& setup, const ChildDescriptors& descriptors);
  void read_report();
  void handle_report();
  void end_start(const Report& report);
  Error ended_before_start() const;
  void check_stopped();
  void tell_owner();
  void answer(Reply& reply);

  EventLoop& loop_;
  Events events_;
  State state_ = State::creating;
  bool joins_ = false;  ///< a container whose first process is another one
  bool was_created_ = false, streams_finish_ = false, owner_told_ = false, is_owned_ = false;
  pid_t pid_ = -1;
  int status_ = 0;
  UniqueFd pidfd_, orders_, report_;
  EventLoop::Watch report_watch_;
  std::string report_bytes_;
  std::optional<Error> error_;
  Reply started_;
  /// For a terminal: where its master comes from, and where it goes to then.
  UniqueFd terminal_sender_, terminal_host_;
  UniqueFd terminal_;  ///< the master; its hang-up is the process's, so no longer than the copies
  std::unique_ptr<StreamCopy> input_;
  std::array<std::unique_ptr<StreamCopy>, 2> outputs_;
  std::optional<ConnectionId> owner_;
  std::optional<EventLoop::TimerId> telling_;
};

}  // namespace husk::agent
