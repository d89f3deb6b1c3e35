// SPDX-License-Identifier: Apache-2.0
#include "agent/container/process_setup.hpp"

#include <fcntl.h>
#include <linux/close_range.h>
#include <linux/keyctl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cctype>

#include "agent/container/report.hpp"
#include "agent/setup/capabilities.hpp"
#include "agent/setup/command.hpp"
#include "agent/setup/process_limits.hpp"
#include "agent/setup/terminal.hpp"
#include "agent/setup/user.hpp"
#include "lib/base/descriptors.hpp"
#include "lib/base/error.hpp"
#include "lib/base/files.hpp"
#include "lib/base/log.hpp"
#include "lib/base/trace.hpp"

namespace husk::agent {
namespace {

std::vector<char*> pointers(std::vector<std::string>& strings) {
  std::vector<char*> made;
  for (std::string& one : strings) made.push_back(one.data());
  made.push_back(nullptr);
  return made;
}

void close_everything_on_exec() {
  check_sys(::syscall(SYS_close_range, 3u, ~0u, CLOSE_RANGE_CLOEXEC), "close_range");
}

void end_by_signal(int signal) { ::_exit(128 + signal); }

/// The agent blocks and ignores signals; both would be passed on to the container's program.
void reset_signals() {
  for (int signal = 1; signal < NSIG; ++signal) ::signal(signal, SIG_DFL);
  // The first process of a pid namespace is immune to signals it has no handler for; while it waits
  // for the start order it must be possible to end it. exec takes the handlers away.
  for (const int signal : {SIGHUP, SIGINT, SIGQUIT, SIGTERM}) ::signal(signal, end_by_signal);
  sigset_t none;
  ::sigemptyset(&none);
  check_sys(::sigprocmask(SIG_SETMASK, &none, nullptr), "sigprocmask");
}

void wait_for_order(int orders, char expected) {
  char order = 0;
  ssize_t count = 0;
  do {
    count = ::read(orders, &order, 1);
  } while (count < 0 && errno == EINTR);
  if (count != 1 || order != expected)
    throw Error(Errc::peer_lost, "no order received from the agent");
}

/// By number; empty: /dev/null.
std::array<std::optional<int>, 3> standard_streams(const guestcomm::Stdio<int>& stdio) {
  const auto* pipes = std::get_if<guestcomm::Pipes<int>>(&stdio);
  if (pipes == nullptr) return {};  // until take_terminal
  return {pipes->in, pipes->out, pipes->err};
}

void connect_streams(const guestcomm::Stdio<int>& stdio) {
  const UniqueFd null{check_sys(::open("/dev/null", O_RDWR | O_CLOEXEC), "open /dev/null")};
  const auto sources = standard_streams(stdio);
  for (int target = 0; target < 3; ++target) {
    const int source = sources.at(static_cast<std::size_t>(target)).value_or(null.get());
    check_sys(::dup2(source, target), "connect standard stream");
  }
}

/// /dev/null was opened outside; the container shall see its own (runc: reopenDevNull).
void reopen_null_streams(const guestcomm::Stdio<int>& stdio) {
  if (std::holds_alternative<guestcomm::Terminal<int>>(stdio)) return;
  const UniqueFd null{::open("/dev/null", O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC)};
  struct stat status {};
  if (!null || ::fstat(null.get(), &status) != 0) return;
  if (!S_ISCHR(status.st_mode) || status.st_rdev != ::makedev(1, 3)) return;
  ::fcntl(null.get(), F_SETFL, 0);
  const auto sources = standard_streams(stdio);
  for (int target = 0; target < 3; ++target) {
    if (!sources.at(static_cast<std::size_t>(target))) ::dup2(null.get(), target);
  }
}

/// Closes the agent's own files: its sockets, the streams of other containers. None
/// of them is to be open while this process deals with what the image and config.json say.
void close_what_is_the_agents(const ChildDescriptors& fds) {
  set_log_sink(nullptr);  // its descriptor goes as well, and the number may become another file's
  std::vector<int> kept{fds.orders, fds.report};
  if (fds.first >= 0) kept.push_back(fds.first);
  kept.insert(kept.end(), fds.joined.begin(), fds.joined.end());
  if (const auto* terminal = std::get_if<guestcomm::Terminal<int>>(&fds.stdio))
    kept.push_back(terminal->stream);
  close_other_descriptors(kept);
}

void change_directory(const std::string& cwd) {
  check_sys(::chdir(cwd.c_str()), "chdir to cwd (\"" + cwd + "\") set in config.json failed");
  // A working directory outside the root shows as "(unreachable)/…" (CVE-2024-21626).
  char* const seen = ::get_current_dir_name();
  const bool inside = seen != nullptr && seen[0] == '/';
  ::free(seen);
  if (!inside) throw Error(Errc::invalid_argument, "cwd " + cwd + " is outside of the container");
}

/// Before the user changes, as root may go where the user may not; else after, as on network file
/// systems the user may go where root may not (as runc does).
bool try_change_directory(const std::string& cwd) {
  try {
    change_directory(cwd);
    return true;
  } catch (const Error& error) {
    if (error.sys_errno() != EACCES && error.sys_errno() != EPERM) throw;
    return false;
  }
}

/// The agent's own is high, as it holds descriptors for every process; a program that closes or
/// polls all that it may have wants the customary number.
void lower_file_limit() {
  struct rlimit files {};
  check_sys(::getrlimit(RLIMIT_NOFILE, &files), "getrlimit");
  files.rlim_cur = std::min<rlim_t>(files.rlim_max, 1024);
  check_sys(::setrlimit(RLIMIT_NOFILE, &files), "setrlimit");
}

/// From root of the container to the process's user.
void drop_rights(const oci::Process& process) {
  const oci::Capabilities capabilities = process.capabilities.value_or(oci::Capabilities{});
  apply_bounding_set(capabilities);  // needs CAP_SETPCAP
  const bool changed = try_change_directory(process.cwd);
  apply_user(process.user);
  if (!changed) change_directory(process.cwd);
  apply_capabilities(capabilities);  // after the user: setuid would clear them
}

/// While it is allowed to raise them.
void apply_limits(const oci::Process& process, const oci::Linux& config) {
  if (process.scheduler) apply_scheduler(*process.scheduler);
  if (process.io_priority) apply_io_priority(*process.io_priority);
  if (config.personality) apply_personality(*config.personality);
  lower_file_limit();
  apply_rlimits(0, process.rlimits);
}

/// From where the agent is to where the program is executed. After a filter is loaded, only what
/// runc does then may follow: a profile that allows enough for runc and the program allows enough
/// for husk. Without no_new_privs that is all of drop_rights and the look-up, since loading needs
/// CAP_SYS_ADMIN.
void set_up(const oci::Process& process, const oci::Linux& config, const ChildDescriptors& fds,
            const std::function<void()>& enter, Program& program) {
  Laps laps;
  reset_signals();
  ::umask(0);  // modes of what is made below are exactly those asked for
  connect_streams(fds.stdio);
  close_what_is_the_agents(fds);
  wait_for_order(fds.orders, order_set_up);
  laps.end("child");
  check_sys(::setsid(), "setsid");
  enter();
  Laps after;
  reopen_null_streams(fds.stdio);
  program.prepare(process, config.seccomp);
  after.end("users and seccomp filter");
  apply_limits(process, config);
  close_everything_on_exec();
  ::umask(process.user.umask.value_or(0022));
  if (process.no_new_privileges) {
    check_sys(::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "set no_new_privs");
  } else {
    program.load_filter();
  }
  drop_rights(process);
  after.end("limits and rights");
}

Error exec_error(const std::string& path, int error) {
  std::string why = std::generic_category().message(error);
  why[0] = static_cast<char>(std::tolower(static_cast<unsigned char>(why[0])));
  return {Errc::system, "exec " + path + ": " + why, error};
}

void run(const oci::Process& process, const oci::Linux& config, const ChildDescriptors& fds,
         const std::function<void()>& enter, const std::function<void()>& started) {
  Program program;
  step("unable to start container process", [&] {
    step("error during container init", [&] { set_up(process, config, fds, enter, program); });
    const Span finding("command");
    program.find();
    if (process.no_new_privileges) program.load_filter();
  });
  report_ready(fds.report);
  wait_for_order(fds.orders, order_start);
  started();
  report_executing(fds.report);
  throw program.execute();
}

}  // namespace

void Program::prepare(const oci::Process& process, const std::optional<oci::Seccomp>& seccomp) {
  environment_ = step("read /etc/passwd", [&] {
    const UniqueFd root{check_sys(::open("/", O_PATH | O_DIRECTORY | O_CLOEXEC), "open /")};
    return complete_environment(root.get(), process);
  });
  arguments_ = process.args;
  argv_ = pointers(arguments_);
  envp_ = pointers(environment_);
  if (seccomp) filter_.emplace(*seccomp);
}

void Program::load_filter() const {
  if (filter_) filter_->load();
}

void Program::find() { path_ = find_command(arguments_.at(0), environment_); }

Error Program::execute() {
  ::execve(path_.c_str(), argv_.data(), envp_.data());
  return exec_error(path_, errno);
}

bool take_terminal(int root_fd, const oci::Process& process, const ChildDescriptors& fds) {
  const auto* wanted = std::get_if<guestcomm::Terminal<int>>(&fds.stdio);
  if (wanted == nullptr) return false;
  const UniqueFd master =
      step("terminal", [&] { return apply_terminal(root_fd, wanted->size, process.user.uid); });
  send_with_descriptors(wanted->stream, "T", {master.get()});
  return true;
}

void run_child(const oci::Process& process, const oci::Linux& config, const ChildDescriptors& fds,
               const std::function<void()>& enter, const std::function<void()>& started) noexcept {
  try {
    run(process, config, fds, enter, started);
  } catch (const Error& error) {
    report_error(fds.report, error);
  } catch (const std::exception& error) {
    report_error(fds.report, Error(Errc::internal, error.what()));
  }
  ::_exit(127);
}

}  // namespace husk::agent
