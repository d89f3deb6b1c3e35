// SPDX-License-Identifier: Apache-2.0
#include "agent/child_setup.hpp"

#include <fcntl.h>
#include <grp.h>
#include <linux/close_range.h>
#include <linux/keyctl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cctype>

#include "agent/report.hpp"
#include "agent/setup/capabilities.hpp"
#include "agent/setup/command.hpp"
#include "agent/setup/devices.hpp"
#include "agent/setup/mounts.hpp"
#include "agent/setup/namespaces.hpp"
#include "agent/setup/process_limits.hpp"
#include "agent/setup/rootfs.hpp"
#include "agent/setup/seccomp.hpp"
#include "agent/setup/sysctl.hpp"
#include "agent/setup/user.hpp"
#include "lib/base/descriptors.hpp"
#include "lib/base/error.hpp"
#include "lib/base/files.hpp"
#include "lib/base/log.hpp"

namespace husk::agent {
namespace {

/// What is executed in the end. All but the path is complete before a filter is loaded.
struct Program {
  std::string path;
  std::vector<std::string> arguments, environment;
  std::vector<char*> argv, envp;
  std::optional<SeccompProgram> filter;  ///< kept to the end: freeing it may call the kernel
};

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
  if (count != 1 || order != expected) throw Error(Errc::peer_lost, "the agent gave no order");
}

void connect_streams(const ChildDescriptors& fds) {
  const UniqueFd null{check_sys(::open("/dev/null", O_RDWR | O_CLOEXEC), "open /dev/null")};
  const int sources[] = {fds.stdin_fd, fds.stdout_fd, fds.stderr_fd};
  for (int target = 0; target < 3; ++target) {
    const int source = sources[target] >= 0 ? sources[target] : null.get();
    check_sys(::dup2(source, target), "connect standard stream");
  }
}

/// What else the agent has open is its own: its sockets, the streams of other containers. Nothing
/// of it is to be there while this process deals with what the image and config.json say.
void close_what_is_the_agents(const ChildDescriptors& fds) {
  set_log_sink(nullptr);  // its descriptor goes as well, and the number may become another file's
  close_other_descriptors({fds.orders, fds.report});
}

/// /dev/null was opened outside; the container shall see its own (runc: reopenDevNull).
void reopen_null_streams(const ChildDescriptors& fds) {
  const UniqueFd null{::open("/dev/null", O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC)};
  struct stat status {};
  if (!null || ::fstat(null.get(), &status) != 0) return;
  if (!S_ISCHR(status.st_mode) || status.st_rdev != ::makedev(1, 3)) return;
  ::fcntl(null.get(), F_SETFL, 0);
  if (fds.stdin_fd < 0) ::dup2(null.get(), 0);
  if (fds.stdout_fd < 0) ::dup2(null.get(), 1);
  if (fds.stderr_fd < 0) ::dup2(null.get(), 2);
}

/// Root of the new user namespace; before its maps are there it has no id at all.
void become_namespace_root(const oci::Spec& spec) {
  if (!has_namespace(spec, "user")) return;
  check_sys(::setresgid(0, 0, 0), "become root of the user namespace");
  check_sys(::setgroups(0, nullptr), "drop groups");
  check_sys(::setresuid(0, 0, 0), "become root of the user namespace");
}

/// Everything about files and mounts: from the agent's view to the container's.
void enter_rootfs(const oci::Spec& spec) {
  const oci::Linux& config = spec.linux_;
  const UniqueFd null{check_sys(::open("/dev/null", O_PATH | O_CLOEXEC), "open /dev/null")};
  apply_cgroup_namespace();  // first, so that a cgroup mount shows the container's own part only
  const UniqueFd root = apply_rootfs(spec);
  const std::vector<UniqueFd> to_seal = apply_mounts(root.get(), spec);
  apply_devices(root.get(), spec, has_namespace(spec, "user"));  // after /dev is mounted
  apply_working_directory(root.get(), spec.process->cwd);        // while the root can be written
  apply_masked_paths(root.get(), null.get(), config.masked_paths);
  apply_readonly_paths(root.get(), config.readonly_paths);
  seal_mounts(to_seal);  // a read-only /dev is filled by now
  apply_pivot(root.get());
  apply_rootfs_propagation(root.get(),
                           config.rootfs_propagation);       // pivot_root wants no shared root
  if (spec.root->readonly) apply_readonly_root(root.get());  // last: all above writes to it
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

/// From root of the container to the process's user.
void drop_rights(const oci::Process& process) {
  const oci::Capabilities capabilities = process.capabilities.value_or(oci::Capabilities{});
  apply_bounding_set(capabilities);  // needs CAP_SETPCAP
  const bool changed = try_change_directory(process.cwd);
  apply_user(process.user);
  if (!changed) change_directory(process.cwd);
  apply_capabilities(capabilities);  // after the user: setuid would clear them
}

/// Program but for its path: what can be done ahead, and would need more system calls later.
void prepare_program(const oci::Spec& spec, Program& program) {
  const oci::Process& process = *spec.process;
  program.environment = step("read /etc/passwd", [&] {
    const UniqueFd root{check_sys(::open("/", O_PATH | O_DIRECTORY | O_CLOEXEC), "open /")};
    return complete_environment(root.get(), process);
  });
  program.arguments = process.args;
  program.argv = pointers(program.arguments);
  program.envp = pointers(program.environment);
  if (spec.linux_.seccomp) program.filter.emplace(*spec.linux_.seccomp);
}

/// While it is allowed to raise them.
void apply_limits(const oci::Spec& spec) {
  const oci::Process& process = *spec.process;
  if (process.scheduler) apply_scheduler(*process.scheduler);
  if (process.io_priority) apply_io_priority(*process.io_priority);
  if (spec.linux_.personality) apply_personality(*spec.linux_.personality);
  apply_rlimits(0, process.rlimits);
}

/// After a filter is loaded, only what runc does then may follow (standard_init_linux.go): a
/// profile that allows enough for runc and the program allows enough for husk. Without no_new_privs
/// that is all of drop_rights and the look-up, since loading needs CAP_SYS_ADMIN.
void set_up(const oci::Spec& spec, const ChildDescriptors& fds, Program& program) {
  const oci::Process& process = *spec.process;
  ::umask(0);  // modes of what is made below are exactly those asked for
  connect_streams(fds);
  close_what_is_the_agents(fds);
  wait_for_order(fds.orders, order_set_up);
  check_sys(::setsid(), "setsid");
  become_namespace_root(spec);
  // A keyring of its own, or all containers would share root's; a kernel without keys is fine.
  ::syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, nullptr);
  apply_time_namespace(spec);  // through the agent's /proc, like the sysctls
  apply_host_name(spec);
  apply_sysctls(spec);
  enter_rootfs(spec);
  reopen_null_streams(fds);
  prepare_program(spec, program);
  apply_limits(spec);
  close_everything_on_exec();
  ::umask(process.user.umask.value_or(0022));
  if (process.no_new_privileges) {
    check_sys(::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "set no_new_privs");
  } else if (program.filter) {
    program.filter->load();
  }
  drop_rights(process);
}

Error exec_error(const std::string& path, int error) {
  std::string why = std::generic_category().message(error);
  why[0] = static_cast<char>(std::tolower(static_cast<unsigned char>(why[0])));
  return {Errc::system, "exec " + path + ": " + why, error};
}

void run(const oci::Spec& spec, const ChildDescriptors& fds) {
  Program program;
  step("unable to start container process", [&] {
    step("error during container init", [&] {
      reset_signals();
      set_up(spec, fds, program);
    });
    // With the user's rights, in the container's root.
    program.path = find_command(spec.process->args.at(0), program.environment);
    if (spec.process->no_new_privileges && program.filter) program.filter->load();
  });
  report_ready(fds.report);
  wait_for_order(fds.orders, order_start);
  ::execve(program.path.c_str(), program.argv.data(), program.envp.data());
  throw exec_error(program.path, errno);
}

}  // namespace

void run_container_init(const oci::Spec& spec, const ChildDescriptors& fds) noexcept {
  try {
    run(spec, fds);
  } catch (const Error& error) {
    report_error(fds.report, error);
  } catch (const std::exception& error) {
    report_error(fds.report, Error(Errc::internal, error.what()));
  }
  ::_exit(127);
}

}  // namespace husk::agent
