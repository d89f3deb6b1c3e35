// SPDX-License-Identifier: Apache-2.0
// One container: from clone3 to the last byte of its output.
#pragma once

#include <sys/types.h>

#include <array>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "agent/event_loop.hpp"
#include "agent/setup/cgroup.hpp"
#include "agent/stream_copy.hpp"
#include "lib/base/error.hpp"
#include "lib/base/unique_fd.hpp"
#include "lib/oci/spec.hpp"

namespace husk::agent {

/// Called once with the outcome of a request: nothing, or what went wrong.
using Reply = std::function<void(const std::optional<Error>& error)>;

struct ContainerSetup {
  std::string id;
  oci::Spec spec;
  UniqueFd stdin_fd, stdout_fd, stderr_fd;  ///< to the host; none: /dev/null
  std::filesystem::path cgroup_parent;
};

class Container {
 public:
  /// creating → created → starting → running → exited (its output is still being sent) → stopped.
  enum class State { creating, created, starting, running, exited, stopped };

  /// Begins to make it. `created` is answered when its process waits for the start order, or with
  /// the error once nothing is left of it. `on_stopped` is called once, with the container in state
  /// stopped.
  Container(EventLoop& loop, ContainerSetup setup, Reply created,
            std::function<void(Container&)> on_stopped);
  Container(const Container&) = delete;
  Container& operator=(const Container&) = delete;
  ~Container();

  const std::string& id() const noexcept { return id_; }
  pid_t pid() const noexcept { return pid_; }
  State state() const noexcept { return state_; }
  bool was_created() const noexcept { return was_created_; }
  int status() const noexcept { return status_; }  ///< exit code or 128 + signal, once exited

  /// Throws wrong_state unless it is created. `started`: after exec, or with exec's error.
  void start(Reply started);
  /// Throws wrong_state "container not running", invalid_argument for a bad signal number.
  void signal(int signal, bool all);
  void kill() noexcept;  ///< SIGKILL for every process of it, in any state

  /// Its first process was reaped with this wait status.
  void handle_exit(int wait_status);

 private:
  struct Pipes;
  void spawn(const oci::Spec& spec, const Pipes& pipes);
  void connect_streams(ContainerSetup& setup, Pipes& pipes);
  void read_report();
  void handle_report();
  void remove_cgroup(int attempts_left);
  void finish_streams();
  void check_stopped();
  void answer(Reply& reply, const std::optional<Error>& error);

  EventLoop& loop_;
  std::string id_;
  Cgroup cgroup_;
  State state_ = State::creating;
  bool was_created_ = false, cgroup_gone_ = false;
  pid_t pid_ = -1;
  int status_ = 0;
  UniqueFd pidfd_, orders_, report_;
  EventLoop::Watch report_watch_;
  std::string report_bytes_;
  std::optional<Error> error_;
  Reply created_, started_;
  std::function<void(Container&)> on_stopped_;
  std::unique_ptr<StreamCopy> stdin_copy_;
  std::array<std::unique_ptr<StreamCopy>, 2> output_copies_;
  std::optional<EventLoop::TimerId> retry_;
};

}  // namespace husk::agent
