// SPDX-License-Identifier: Apache-2.0
#include "agent/container.hpp"

#include <fcntl.h>
#include <linux/sched.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/child_setup.hpp"
#include "agent/report.hpp"
#include "agent/setup/capabilities.hpp"
#include "agent/setup/namespaces.hpp"
#include "agent/setup/process_limits.hpp"
#include "lib/base/files.hpp"
#include "lib/base/log.hpp"

namespace husk::agent {
namespace {

constexpr int stream_pipe_bytes = 256 << 10;
constexpr int last_signal = 64;

struct Pipe {
  UniqueFd read_end, write_end;
};

Pipe make_pipe() {
  std::array<int, 2> ends{};
  check_sys(::pipe2(ends.data(), O_CLOEXEC), "pipe");
  return {UniqueFd{ends[0]}, UniqueFd{ends[1]}};
}

/// Pipes, and owned by the process's user: /dev/stdout must be possible to open again.
Pipe make_stream_pipe(const oci::Spec& spec) {
  Pipe pipe = make_pipe();
  const oci::User& user = spec.process->user;
  const uid_t uid = map_id(spec.linux_.uid_mappings, user.uid);
  const gid_t gid = map_id(spec.linux_.gid_mappings, user.gid);
  check_sys(::fchown(pipe.read_end.get(), uid, gid), "chown stream");
  // Fewer turns between the container and the agent; a limit on pipes may refuse it, which is fine.
  ::fcntl(pipe.read_end.get(), F_SETPIPE_SZ, stream_pipe_bytes);
  return pipe;
}

void check_supported(const oci::Spec& spec) {
  if (!spec.process) throw Error(Errc::invalid_argument, "process is missing");
  if (!spec.root) throw Error(Errc::invalid_argument, "root is missing");
  if (spec.process->args.empty()) throw Error(Errc::invalid_argument, "process.args is empty");
  if (spec.process->terminal) {
    throw Error(Errc::unsupported, "process.terminal: terminals are not supported yet");
  }
}

constexpr std::size_t max_report_bytes = 8192;
constexpr std::chrono::milliseconds cgroup_retry{2};
constexpr int cgroup_attempts = 2500;  ///< 5 s: something is stuck in the kernel after that

long send_signal(int pidfd, int signal) {
  return ::syscall(SYS_pidfd_send_signal, pidfd, signal, nullptr, 0);
}

int exit_status(int wait_status) {
  return WIFSIGNALED(wait_status) ? 128 + WTERMSIG(wait_status) : WEXITSTATUS(wait_status);
}

}  // namespace

struct Container::Pipes {
  Pipe orders, report;
  UniqueFd stdin_fd, stdout_fd, stderr_fd;  ///< the container's ends
};

Container::Container(EventLoop& loop, ContainerSetup setup, Reply created,
                     std::function<void(Container&)> on_stopped)
    : loop_(loop),
      id_(setup.id),
      cgroup_((check_supported(setup.spec), setup.cgroup_parent), setup.id),
      on_stopped_(std::move(on_stopped)) {
  if (setup.spec.process->capabilities) warn_of_ignored(*setup.spec.process->capabilities);
  Pipes pipes{make_pipe(), make_pipe(), {}, {}, {}};
  connect_streams(setup, pipes);
  spawn(setup.spec, pipes);
  orders_ = std::move(pipes.orders.write_end);
  report_ = std::move(pipes.report.read_end);
  check_sys(::fcntl(report_.get(), F_SETFL, O_NONBLOCK), "fcntl");
  report_watch_ = loop_.watch(report_.get(), EPOLLIN, [this](std::uint32_t) { handle_report(); });
  apply_id_mappings(pid_, setup.spec);
  if (setup.spec.process->oom_score_adj) {
    apply_oom_score_adj(pid_, *setup.spec.process->oom_score_adj);
  }
  write_all(orders_.get(), std::string_view(&order_set_up, 1));
  created_ = std::move(created);  // last: when this constructor throws, the caller answers
}

Container::~Container() {
  if (retry_) loop_.cancel(*retry_);
}

void Container::connect_streams(ContainerSetup& setup, Pipes& pipes) {
  const auto on_done = [this] { check_stopped(); };
  if (setup.stdin_fd) {
    Pipe pipe = make_stream_pipe(setup.spec);
    pipes.stdin_fd = std::move(pipe.read_end);
    stdin_copy_ = std::make_unique<StreamCopy>(loop_, std::move(setup.stdin_fd),
                                               std::move(pipe.write_end), on_done);
  }
  const auto connect_output = [&](UniqueFd& host, UniqueFd& end, std::size_t index) {
    if (!host) return;
    Pipe pipe = make_stream_pipe(setup.spec);
    end = std::move(pipe.write_end);
    output_copies_.at(index) =
        std::make_unique<StreamCopy>(loop_, std::move(pipe.read_end), std::move(host), on_done);
  };
  connect_output(setup.stdout_fd, pipes.stdout_fd, 0);
  connect_output(setup.stderr_fd, pipes.stderr_fd, 1);
}

void Container::spawn(const oci::Spec& spec, const Pipes& pipes) {
  int pidfd = -1;
  struct clone_args arguments {};
  arguments.flags = clone_flags(spec) | std::uint64_t{CLONE_PIDFD} | CLONE_INTO_CGROUP;
  arguments.pidfd = reinterpret_cast<std::uint64_t>(&pidfd);
  arguments.exit_signal = SIGCHLD;
  arguments.cgroup = static_cast<__u64>(cgroup_.directory_fd());
  // A plain fork otherwise: one thread, memory copied, so the child may allocate and throw.
  const long pid = check_sys(::syscall(SYS_clone3, &arguments, sizeof arguments), "clone3");
  if (pid == 0) {
    run_container_init(spec, {pipes.orders.read_end.get(), pipes.report.write_end.get(),
                              pipes.stdin_fd.get(), pipes.stdout_fd.get(), pipes.stderr_fd.get()});
  }
  pid_ = static_cast<pid_t>(pid);
  pidfd_.reset(pidfd);
}

void Container::answer(Reply& reply, const std::optional<Error>& error) {
  if (const Reply once = std::exchange(reply, nullptr)) once(error);
}

/// Takes what there is on the report pipe; closes it at its end.
void Container::read_report() {
  std::array<char, 4096> chunk{};
  while (report_) {
    const ssize_t count = ::read(report_.get(), chunk.data(), chunk.size());
    if (count > 0 && report_bytes_.size() < max_report_bytes) {
      report_bytes_.append(chunk.data(), static_cast<std::size_t>(count));
    } else if (count < 0 && (errno == EAGAIN || errno == EINTR)) {
      return;
    } else {
      report_watch_.reset();
      report_.reset();
    }
  }
}

void Container::handle_report() {
  read_report();
  const Report report = parse_report(report_bytes_);
  if (report.error) error_ = report.error;
  if (state_ == State::creating && report.ready) {
    state_ = State::created;
    was_created_ = true;
    answer(created_, std::nullopt);
  }
  if (state_ == State::starting && !report_) {  // closed: by exec, or by a child that failed to
    state_ = State::running;
    answer(started_, error_);
  }
}

void Container::start(Reply started) {
  switch (state_) {
    case State::created:
      break;
    case State::creating:
      throw Error(Errc::wrong_state, "cannot start a container that is being created");
    case State::starting:
    case State::running:
      throw Error(Errc::wrong_state, "cannot start an already running container");
    case State::exited:
    case State::stopped:
      throw Error(Errc::wrong_state, "cannot start a container that has stopped");
  }
  write_all(orders_.get(), std::string_view(&order_start, 1));
  orders_.reset();
  state_ = State::starting;
  started_ = std::move(started);
}

void Container::signal(int signal, bool all) {
  if (signal < 0 || signal > last_signal) {
    throw Error(Errc::invalid_argument, "signal " + std::to_string(signal) + " does not exist");
  }
  if (state_ == State::exited || state_ == State::stopped) {
    throw Error(Errc::wrong_state, "container not running");
  }
  if (signal == SIGKILL) {
    kill();
  } else if (all) {
    for (const pid_t pid : cgroup_.processes()) ::kill(pid, signal);
  } else if (send_signal(pidfd_.get(), signal) != 0) {
    if (errno == ESRCH) throw Error(Errc::wrong_state, "container not running", ESRCH);
    throw_errno("signal container");
  }
}

void Container::kill() noexcept {
  if (pidfd_) send_signal(pidfd_.get(), SIGKILL);
  cgroup_.kill();
}

void Container::handle_exit(int wait_status) {
  status_ = exit_status(wait_status);
  handle_report();  // what it said before it went
  if (state_ == State::starting) answer(started_, error_);
  if (state_ == State::creating && !error_) {
    error_ = Error(Errc::internal, "unable to start container process: it ended with status " +
                                       std::to_string(status_) + " before it was set up");
  }
  state_ = State::exited;
  pid_ = -1;
  pidfd_.reset();
  orders_.reset();
  if (stdin_copy_) stdin_copy_->stop();
  cgroup_.kill();  // without a pid namespace the rest of the container lives on
  remove_cgroup(cgroup_attempts);
}

void Container::remove_cgroup(int attempts_left) {
  retry_.reset();
  cgroup_gone_ = cgroup_.remove();
  if (!cgroup_gone_ && attempts_left > 0) {
    retry_ = loop_.after(cgroup_retry, [this, attempts_left] { remove_cgroup(attempts_left - 1); });
    return;
  }
  if (!cgroup_gone_) log(LogLevel::error, "cgroup cannot be removed id=" + id_);
  finish_streams();
}

/// All its processes are gone. A pipe of theirs that another container was handed stays open, so
/// the end of the output is where it is empty now.
void Container::finish_streams() {
  cgroup_gone_ = true;
  for (const auto& copy : output_copies_) {
    if (copy) copy->finish_when_empty();
  }
  check_stopped();
}

void Container::check_stopped() {
  if (state_ != State::exited || !cgroup_gone_) return;
  for (const auto& copy : output_copies_) {
    if (copy && !copy->done()) return;
  }
  state_ = State::stopped;
  if (!was_created_) answer(created_, error_);
  if (on_stopped_) on_stopped_(*this);
}

}  // namespace husk::agent
