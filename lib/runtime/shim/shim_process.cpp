// SPDX-License-Identifier: Apache-2.0
#include "lib/runtime/shim/shim_process.hpp"

#include <fcntl.h>
#include <linux/close_range.h>
#include <linux/magic.h>
#include <linux/sched.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <string>
#include <vector>

#include "lib/base/deadline.hpp"
#include "lib/base/descriptors.hpp"
#include "lib/base/error.hpp"
#include "lib/base/files.hpp"
#include "lib/base/loopback.hpp"
#include "lib/guestcomm/link/guest_words.hpp"
#include "lib/handoff/handoff.hpp"
#include "lib/runtime/shim/host_root.hpp"

namespace husk::runtime {
namespace {

// In the child, until exec closes them: 3 is the hand-over's (handoff::shim_fd).
constexpr int error_fd = 4;
constexpr int program_fd = 5;
constexpr int go_fd = 6;
constexpr int first_fd = 7;  ///< a pidfd, of the shim to be joined

/// The descriptors that the child begins with, in the order of those numbers; first: -1 if there is none.
struct ChildEnds {
  int handoff, error_pipe, program, go, first;
};

/// A killed child that a file system or the freezer of cgroup v1 holds ends later, and init reaps it.
constexpr std::chrono::seconds reap_patience{2};
constexpr std::size_t max_error_text = 65536;

void join_namespace(const std::filesystem::path& path, int type, const char* name) {
  const std::string what = std::string(name) + " namespace " + path.string();
  // The path is the caller's: opening a FIFO there must not wait for its writer.
  const UniqueFd fd{check_sys(::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC),
                              "open " + what)};
  struct statfs file_system {};
  check_sys(::fstatfs(fd.get(), &file_system), "stat " + what);
  // Kernels before 3.19 had namespaces in proc; those have no clone3 either.
  if (file_system.f_type != NSFS_MAGIC)
    throw Error(Errc::invalid_argument, "join " + what + ": not a namespace file");
  check_sys(::setns(fd.get(), type), "join " + what);
}

void take_place(const NewShim& shim) {
  const HostNamespaces& namespaces = shim.namespaces;
  if (namespaces.network) join_namespace(*namespaces.network, CLONE_NEWNET, "network");
  if (namespaces.ipc) join_namespace(*namespaces.ipc, CLONE_NEWIPC, "ipc");
  if (namespaces.uts) join_namespace(*namespaces.uts, CLONE_NEWUTS, "uts");
  if (namespaces.new_network) bring_loopback_up();
  if (namespaces.new_uts && shim.hostname) {
    check_sys(::sethostname(shim.hostname->data(), shim.hostname->size()), "set the host name");
  }
  enter_host_root(shim.root);
}

/// The child's pid namespace already is the first shim's (clone_process).
void take_place(const JoiningShim&) {
  check_sys(::setns(first_fd, CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWNS),
            "join the container's shim");
}

[[noreturn]] void execute(const std::vector<std::string>& arguments) {
  std::vector<char*> argv;
  std::vector<std::string> copies = arguments;
  if (copies.empty()) copies.emplace_back("husk-shim");
  for (std::string& argument : copies) argv.push_back(argument.data());
  argv.push_back(nullptr);
  std::array<char*, 1> environment{nullptr};
  ::syscall(SYS_execveat, program_fd, "", argv.data(), environment.data(), AT_EMPTY_PATH);
  throw_errno("execute husk-shim");
}

void connect_terminal(int terminal) {
  for (const int stream : {0, 1, 2}) check_sys(::dup2(terminal, stream), "connect the terminal");
}

/// The child between clone and exec.
[[noreturn]] void become_shim(const ShimPlan& plan, std::optional<int> terminal,
                              const ChildEnds& ends) {
  try {
    if (terminal) connect_terminal(*terminal);
    // Above all numbers wanted, then down: dup2 must not close one that is still needed.
    std::vector<int> from{ends.handoff, ends.error_pipe, ends.program, ends.go};
    if (ends.first >= 0) from.push_back(ends.first);
    for (int& fd : from) fd = check_sys(::fcntl(fd, F_DUPFD, 20), "dup");
    int next = handoff::shim_fd;
    for (const int fd : from) {
      check_sys(::dup3(fd, next, next == handoff::shim_fd ? 0 : O_CLOEXEC), "dup3");
      ++next;
    }
    ::syscall(SYS_close_range, static_cast<unsigned>(next), ~0U, 0U);
    // No record names this process yet: it must not outlive a parent that is killed.
    check_sys(::prctl(PR_SET_PDEATHSIG, SIGKILL), "prctl");
    // The parent has put this process into its cgroup when the go comes; end of file: it gave up.
    char byte = 0;
    if (::read(go_fd, &byte, 1) != 1) ::_exit(255);
    check_sys(::setsid(), "setsid");
    // Makes the terminal the controlling one: the kernel sends SIGWINCH when the caller changes the size.
    if (terminal) check_sys(::ioctl(STDIN_FILENO, TIOCSCTTY, 0), "set the controlling terminal");
    sigset_t all;
    ::sigfillset(&all);
    ::sigprocmask(SIG_SETMASK, &all, nullptr);  // none is lost before the shim looks at them
    std::visit([](const auto& place) { take_place(place); }, plan.place);
    // execve(2) keeps it.
    if (!plan.end_with_parent) check_sys(::prctl(PR_SET_PDEATHSIG, 0), "prctl");
    execute(plan.arguments);
  } catch (const std::exception& e) {
    const std::string text = e.what();
    [[maybe_unused]] const ssize_t n = ::write(error_fd, text.data(), text.size());
  }
  ::_exit(255);
}

/// The agent has to answer the shim before the shim answers: for ever, if the guest stands still.
void await_answer(int socket, std::chrono::milliseconds patience) {
  if (await(socket, POLLIN, -1, Deadline(patience)) != Readiness::ready)
    throw Error(Errc::timed_out, "the shim did not take over the container in time");
}

/// Reads the text that a child wrote until it executed or ended. Throws timed_out, and when cancelled.
std::string read_to_end(int pipe, std::chrono::milliseconds patience) {
  const Deadline deadline(patience);
  std::string text;
  std::array<char, 4096> chunk{};
  while (text.size() <= max_error_text) {
    if (await(pipe, POLLIN, -1, deadline) != Readiness::ready)
      throw Error(Errc::timed_out, "set up the shim: timed out after " +
                                       std::to_string(patience.count() / 1000) + " s");
    const ssize_t n = ::read(pipe, chunk.data(), chunk.size());
    if (n == 0) break;
    if (n < 0 && errno != EINTR) throw_errno("read the shim's answer");
    if (n > 0) text.append(chunk.data(), static_cast<std::size_t>(n));
  }
  return text;
}

void end_child(pid_t pid) noexcept {
  ::kill(pid, SIGKILL);
  const UniqueFd pidfd{static_cast<int>(::syscall(SYS_pidfd_open, pid, 0))};
  pollfd polled{pidfd.get(), POLLIN, 0};
  const Deadline deadline(reap_patience);
  while (pidfd && ::poll(&polled, 1, deadline.poll_timeout()) < 0 && errno == EINTR) {
  }
  ::waitpid(pid, nullptr, WNOHANG);
}

pid_t clone_with(std::uint64_t flags) {
  clone_args arguments{};
  arguments.exit_signal = SIGCHLD;
  arguments.flags = flags;
  return static_cast<pid_t>(
      check_sys(::syscall(SYS_clone3, &arguments, sizeof arguments), "clone the shim"));
}

pid_t clone_process(const NewShim& shim, const UniqueFd&) {
  std::uint64_t flags = CLONE_NEWPID | CLONE_NEWNS;
  if (shim.namespaces.new_network) flags |= CLONE_NEWNET;
  if (shim.namespaces.new_ipc) flags |= CLONE_NEWIPC;
  if (shim.namespaces.new_uts) flags |= CLONE_NEWUTS;
  return clone_with(flags);
}

/// A pid namespace is joined by one's children: every child of this process from here on.
pid_t clone_process(const JoiningShim&, const UniqueFd& first) {
  check_sys(::setns(first.get(), CLONE_NEWPID), "join the pid namespace of the container's shim");
  return clone_with(0);
}

/// Here, since the child may not see it any more: its pid namespace is another one.
UniqueFd open_first(const ShimPlan& plan) {
  const auto* joining = std::get_if<JoiningShim>(&plan.place);
  if (joining == nullptr) return {};
  UniqueFd first = open_process(joining->first);
  if (!first) throw Error(Errc::wrong_state, "container not running");
  return first;
}

}  // namespace

ShimProcess::ShimProcess(const std::filesystem::path& program_path, const ShimPlan& plan,
                         HostCgroup& cgroup, std::optional<int> terminal,
                         const ShimPatience& patience)
    : patience_(patience) {
  const UniqueFd program{check_sys(::open(program_path.c_str(), O_RDONLY | O_CLOEXEC),
                                   "open " + program_path.string())};
  SocketPair sockets = make_socket_pair();
  handoff_ = std::move(sockets.own);
  Pipe errors = make_pipe(), go = make_pipe();

  const UniqueFd first = open_first(plan);
  pid_ = std::visit([&](const auto& place) { return clone_process(place, first); }, plan.place);
  if (pid_ == 0) {
    go.write_end.reset();
    become_shim(plan, terminal,
                {sockets.other.get(), errors.write_end.get(), program.get(), go.read_end.get(),
                 first ? first.get() : -1});
  }
  try {
    cgroup.add(pid_);
    errors.write_end.reset();
    write_all(go.write_end.get(), "g");
    wait_for_exec(errors.read_end.get());
  } catch (...) {
    end_child(pid_);
    throw;
  }
}

void ShimProcess::wait_for_exec(int error_pipe) {
  const std::string text = read_to_end(error_pipe, patience_.set_up);
  if (!text.empty()) throw Error(Errc::system, "set up the shim: " + text);
  if (::waitpid(pid_, nullptr, WNOHANG) == pid_)
    throw Error(Errc::internal, "the shim exited immediately");
}

ShimProcess::~ShimProcess() {
  if (!keep_ && pid_ > 0) end_child(pid_);
}

UniqueFd ShimProcess::open_pidfd() const {
  return UniqueFd{
      static_cast<int>(check_sys(::syscall(SYS_pidfd_open, pid_, 0), "pidfd_open of the shim"))};
}

void ShimProcess::hand_over(const guestcomm::ProcessRef& process, int control,
                            const guestcomm::Stdio<int>& stdio, int notify, int bundle,
                            int kills) const {
  handoff::send(handoff_.get(), {.process = process}, control, stdio, notify, bundle, kills);
  await_answer(handoff_.get(), patience_.hand_over);
  std::array<char, 1024> answer{};
  const ssize_t n = ::recv(handoff_.get(), answer.data(), answer.size() - 1, 0);
  if (n <= 0) throw Error(Errc::peer_lost, "the shim exited during the hand-over");
  if (answer[0] != '\0')  // with what the agent said to it
    throw Error(Errc::internal, "the shim: " + guestcomm::without_state(answer.data()));
}

}  // namespace husk::runtime
