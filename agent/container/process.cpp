// SPDX-License-Identifier: Apache-2.0
#include "agent/container/process.hpp"

#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <vector>

#include "agent/setup/terminal.hpp"
#include "lib/base/descriptors.hpp"
#include "lib/base/exit_status.hpp"
#include "lib/base/files.hpp"
#include "lib/base/trace.hpp"

namespace husk::agent {
namespace {

constexpr int stream_pipe_bytes = 256 << 10;
constexpr std::size_t max_report_bytes = 8192;

Pipe make_stream_pipe(const ProcessSetup& setup) {
  Pipe pipe = make_pipe();
  check_sys(::fchown(pipe.read_end.get(), setup.stream_uid, setup.stream_gid), "chown stream");
  // Fewer turns between the process and the agent; a limit on pipes may refuse it, which is fine.
  ::fcntl(pipe.read_end.get(), F_SETPIPE_SZ, stream_pipe_bytes);
  return pipe;
}

long send_signal(int pidfd, int signal) {
  return ::syscall(SYS_pidfd_send_signal, pidfd, signal, nullptr, 0);
}

/// Children of this process are in that pid namespace (setns(2)) while `make` runs.
template <class Make>
long in_pid_namespace(int there, Make make) {
  const UniqueFd own{
      check_sys(::open("/proc/self/ns/pid", O_RDONLY | O_CLOEXEC), "open the pid namespace")};
  check_sys(::setns(there, CLONE_NEWPID), "join the container's pid namespace");
  const auto leave = [&] { check_sys(::setns(own.get(), CLONE_NEWPID), "leave a pid namespace"); };
  try {
    const long pid = make();
    if (pid != 0) leave();
    return pid;
  } catch (...) {
    leave();
    throw;
  }
}

/// Moves this process. It must not go on in the agent's own cgroup.
void move_into(int cgroup) noexcept {
  const UniqueFd processes{::openat(cgroup, "cgroup.procs", O_WRONLY | O_CLOEXEC)};
  if (!processes || ::write(processes.get(), "0", 1) != 1) ::_exit(127);
}

Error without_first_process() {
  return {Errc::wrong_state,
          "the pid namespace to be joined has no first process any more, or the "
          "guest has no memory for another process"};
}

}  // namespace

Process::Process(EventLoop& loop, ProcessSetup setup, Events events)
    : loop_(loop), joins_(setup.first >= 0) {
  Pipe orders = make_pipe(), report = make_pipe();
  guestcomm::Stdio<UniqueFd> ends = connect_streams(setup);
  spawn(setup, {orders.read_end.get(), report.write_end.get(),
                guestcomm::with_each_end(ends, [](const UniqueFd& end) { return end.get(); }),
                setup.first, setup.joined});
  orders_ = std::move(orders.write_end);
  report_ = std::move(report.read_end);
  check_sys(::fcntl(report_.get(), F_SETFL, O_NONBLOCK), "fcntl");
  report_watch_ = loop_.watch(report_.get(), EPOLLIN, [this](std::uint32_t) { handle_report(); });
  events_ = std::move(events);
}

Process::~Process() {
  if (telling_) loop_.cancel(*telling_);
}

guestcomm::Stdio<UniqueFd> Process::connect_streams(ProcessSetup& setup) {
  if (auto* pipes = std::get_if<guestcomm::Pipes<UniqueFd>>(&setup.stdio))
    return connect_pipes(setup, *pipes);
  auto& terminal = std::get<guestcomm::Terminal<UniqueFd>>(setup.stdio);
  SocketPair ends = make_socket_pair();
  check_sys(::fcntl(ends.own.get(), F_SETFL, O_NONBLOCK), "fcntl");
  terminal_sender_ = std::move(ends.own);
  terminal_host_ = std::move(terminal.stream);
  return guestcomm::Terminal<UniqueFd>{std::move(ends.other), terminal.size};
}

guestcomm::Stdio<UniqueFd> Process::connect_pipes(ProcessSetup& setup,
                                                  guestcomm::Pipes<UniqueFd>& host) {
  const auto on_done = [this] { check_stopped(); };
  guestcomm::Pipes<UniqueFd> ends;
  if (host.in) {
    Pipe pipe = make_stream_pipe(setup);
    ends.in = std::move(pipe.read_end);
    input_ = std::make_unique<StreamCopy>(loop_, std::move(*host.in), std::move(pipe.write_end),
                                          on_done);
  }
  const auto connect_output = [&](std::optional<UniqueFd>& to, std::optional<UniqueFd>& end,
                                  std::size_t index) {
    if (!to) return;
    Pipe pipe = make_stream_pipe(setup);
    end = std::move(pipe.write_end);
    outputs_.at(index) =
        std::make_unique<StreamCopy>(loop_, std::move(pipe.read_end), std::move(*to), on_done);
  };
  connect_output(host.out, ends.out, 0);
  connect_output(host.err, ends.err, 1);
  return ends;
}

/// Sent by the child before it was ready.
void Process::receive_terminal() {
  if (!terminal_sender_) return;
  std::vector<UniqueFd> received;
  std::array<char, 1> mark{};
  receive_with_descriptors(terminal_sender_.get(), mark, received);
  terminal_sender_.reset();
  if (received.size() != 1) throw Error(Errc::internal, "the child sent no terminal");
  terminal_ = std::move(received.front());
  // Each copy watches and closes descriptors of its own.
  const auto copy = [](const UniqueFd& fd) {
    return UniqueFd{check_sys(::fcntl(fd.get(), F_DUPFD_CLOEXEC, 3), "duplicate")};
  };
  outputs_[0] = std::make_unique<StreamCopy>(loop_, copy(terminal_), copy(terminal_host_),
                                             [this] { end_terminal(); });
  // The host hung up, or the terminal did: what was written is still to be sent.
  input_ = std::make_unique<StreamCopy>(loop_, std::move(terminal_host_), copy(terminal_),
                                        [this] { outputs_[0]->finish_when_empty(); });
}

bool Process::try_receive_terminal() {
  try {
    receive_terminal();
    return true;
  } catch (const Error& error) {
    error_ = error;
    return false;
  }
}

/// With its last master the terminal hangs up: SIGHUP for the session.
void Process::end_terminal() {
  terminal_.reset();
  input_->stop();
  check_stopped();
}

void Process::spawn(const ProcessSetup& setup, const ChildDescriptors& descriptors) {
  int pidfd = -1;
  struct clone_args arguments {};
  arguments.flags = setup.clone_flags | std::uint64_t{CLONE_PIDFD} | CLONE_INTO_CGROUP;
  arguments.pidfd = reinterpret_cast<std::uint64_t>(&pidfd);
  arguments.exit_signal = SIGCHLD;
  arguments.cgroup = static_cast<__u64>(setup.cgroup);
  // A plain fork otherwise: one thread, memory copied, so the child may allocate and throw.
  const auto clone = [&] {
    long made = ::syscall(SYS_clone3, &arguments, sizeof arguments);
    // pids.max refuses a process that is made in the cgroup, not one that moves there: exec works in a full container.
    if (made < 0 && errno == EAGAIN && joins_) {
      arguments.flags &= ~std::uint64_t{CLONE_INTO_CGROUP};
      made = ::syscall(SYS_clone3, &arguments, sizeof arguments);
    }
    // For an exec the container knows what ENOMEM means.
    if (made < 0 && errno == ENOMEM && setup.pid_namespace >= 0 && setup.first < 0)
      throw without_first_process();
    return check_sys(made, "clone3");
  };
  const long pid =
      setup.pid_namespace >= 0 ? in_pid_namespace(setup.pid_namespace, clone) : clone();
  if (pid == 0) {
    trace_as_child();
    if ((arguments.flags & CLONE_INTO_CGROUP) == 0) move_into(setup.cgroup);
    setup.child(descriptors);
    ::_exit(127);
  }
  pid_ = static_cast<pid_t>(pid);
  pidfd_.reset(pidfd);
}

void Process::proceed() { write_all(orders_.get(), std::string_view(&order_set_up, 1)); }

void Process::answer(Reply& reply) {
  if (const Reply once = std::exchange(reply, nullptr)) once(error_ ? Outcome(*error_) : done());
}

/// Takes what there is on the report pipe; closes it at its end.
void Process::read_report() {
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

void Process::handle_report() {
  read_report();
  const Report report = parse_report(report_bytes_);
  if (report.error) error_ = report.error;
  if (state_ == State::creating && report.ready) {
    if (!try_receive_terminal()) return kill();
    state_ = State::created;
    was_created_ = true;
    answer(events_.created);
  }
  // Closed: by exec, or by a child that came to its end.
  if (state_ == State::starting && !report_) end_start(report);
}

void Process::end_start(const Report& report) {
  if (!error_ && !report.executing)
    error_ = Error(Errc::system, "the process was killed before its program was started");
  state_ = State::running;
  answer(started_);
}

Error Process::ended_before_start() const {
  return {Errc::wrong_state, joins_ ? "the process was killed before its program was started"
                                    : "cannot start a container that has stopped"};
}

void Process::start(Reply started) {
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
      throw ended_before_start();
  }
  // It may have been killed, and not be reaped yet.
  if (::write(orders_.get(), &order_start, 1) != 1) throw ended_before_start();
  orders_.reset();
  state_ = State::starting;
  started_ = std::move(started);
}

void Process::signal(int signal) {
  if (pidfd_ && send_signal(pidfd_.get(), signal) == 0) return;
  if (!pidfd_ || errno == ESRCH) throw Error(Errc::wrong_state, "container not running", ESRCH);
  throw_errno("signal container");
}

void Process::kill() noexcept {
  if (pidfd_) send_signal(pidfd_.get(), SIGKILL);
}

void Process::resize(guestcomm::WindowSize size) const {
  if (!terminal_) throw Error(Errc::wrong_state, "the process has no terminal");
  set_window_size(terminal_.get(), size);
}

void Process::own(ConnectionId connection) {
  if (is_owned_ && owner_ && *owner_ != connection) {
    throw Error(Errc::wrong_state, "the process is owned by another connection");
  }
  owner_ = connection;
  is_owned_ = true;
  // From the loop, so that the answer to this request goes out first.
  if (!telling_) {
    telling_ = loop_.after(std::chrono::milliseconds{0}, [this] {
      telling_.reset();
      tell_owner();
    });
  }
}

void Process::tell_owner() {
  if (state_ != State::stopped || !owner_ || !is_owned_ || owner_told_) return;
  owner_told_ = true;
  events_.tell_owner(*owner_, status_);
}

void Process::handle_exit(int wait_status) {
  status_ = exit_status(wait_status);
  handle_report();  // what it said before it went
  // Who was forked on its way there can hold the pipe a moment longer.
  if (state_ == State::starting) end_start(parse_report(report_bytes_));
  if (state_ == State::creating && !error_) {
    error_ = Error(Errc::internal, "unable to start container process: it ended with status " +
                                       std::to_string(status_) + " before it was set up");
  }
  state_ = State::exited;
  pid_ = -1;
  pidfd_.reset();
  orders_.reset();
  if (input_ && !terminal_) input_->stop();
  terminal_host_.reset();
  events_.exited();
}

void Process::finish_streams() {
  streams_finish_ = true;
  for (const auto& copy : outputs_) {
    if (copy) copy->finish_when_empty();
  }
  check_stopped();
}

void Process::check_stopped() {
  if (state_ != State::exited || !streams_finish_) return;
  for (const auto& copy : outputs_) {
    if (copy && !copy->done()) return;
  }
  state_ = State::stopped;
  if (!was_created_) answer(events_.created);
  tell_owner();
  events_.stopped();
}

}  // namespace husk::agent
