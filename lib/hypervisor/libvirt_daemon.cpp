// SPDX-License-Identifier: Apache-2.0
#include "lib/hypervisor/libvirt_daemon.hpp"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "lib/base/advice.hpp"
#include "lib/base/deadline.hpp"
#include "lib/base/detach.hpp"
#include "lib/base/directory_lock.hpp"
#include "lib/base/error.hpp"
#include "lib/base/mount_namespace.hpp"
#include "lib/base/subprocess.hpp"
#include "lib/base/text.hpp"
#include "lib/base/unique_fd.hpp"
#include "lib/base/unix_address.hpp"
#include "lib/hypervisor/daemon_cgroup.hpp"
#include "lib/hypervisor/daemon_namespace.hpp"

namespace husk::hypervisor {
namespace {

using namespace std::chrono_literals;
namespace fs = std::filesystem;

constexpr const char* program_directory = "/usr/sbin";
constexpr const char* log_socket = "/run/libvirt/virtlogd-sock";
constexpr const char* lock_directory = "/run/husk-vm";  // root's, unlike /run/lock
constexpr auto daemon_patience = 30s;

/// Returns nothing where nobody listens.
UniqueFd connect_to(const std::string& path) {
  UniqueFd socket{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  const sockaddr_un address = unix_address(path);
  if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    return {};
  return socket;
}

bool listens(const std::string& path) { return static_cast<bool>(connect_to(path)); }

bool is_program(const fs::path& path) { return ::access(path.c_str(), X_OK) == 0; }

UniqueFd connect_to_daemon(const Daemon& daemon) {
  UniqueFd own = connect_to("/run/libvirt/" + daemon.own + "-sock");
  if (own || (!daemon.is_in_libvirtd && is_program(fs::path(program_directory) / daemon.own)))
    return own;
  return connect_to("/run/libvirt/libvirt-sock");
}

bool daemon_listens(const Daemon& daemon) { return static_cast<bool>(connect_to_daemon(daemon)); }

template <typename Condition>
bool wait_for(Condition&& condition) {
  const auto deadline = std::chrono::steady_clock::now() + daemon_patience;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(20ms);
  }
  return true;
}

/// Runs the daemon and reaps for it, until it has ended. libvirt's QEMU processes become orphans,
/// and libvirt waits until those it ends are reaped: where pid 1 is no real init (a container's,
/// this project's build machine's) that takes half a minute or for ever, and every start and stop
/// of a VM with it.
[[noreturn]] void keep_daemon(const std::string& program, const std::string& timeout) {
  try {
    detach_process({});
    ::prctl(PR_SET_NAME, "husk-libvirt", 0, 0, 0);
    check_sys(::prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), "become a subreaper");
    const pid_t daemon = check_sys(::fork(), "fork");
    if (daemon == 0) {
      enter_cgroup_without_kvm();
      const char* const arguments[] = {program.c_str(), "--timeout", timeout.c_str(), nullptr};
      const char* const environment[] = {
          "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8",
          nullptr};
      ::execve(program.c_str(), const_cast<char**>(arguments), const_cast<char**>(environment));
      ::_exit(127);
    }
    // Down to the last child: virtiofsd and QEMU may outlive a daemon that was killed.
    while (::wait(nullptr) > 0 || errno == EINTR) continue;
    remove_cgroup_without_kvm();
  } catch (const std::exception&) {
    ::_exit(126);
  }
  ::_exit(0);
}

[[noreturn]] void throw_missing(const std::string& programs) {
  throw Error(Errc::unsupported,
              "libvirt is not installed (" + programs + " is missing); " + advice::libvirt);
}

void start_daemon(const std::string& program, std::chrono::seconds idle_timeout) {
  if (!is_program(program)) throw_missing(program);
  const std::string timeout = std::to_string(idle_timeout.count());
  // Twice: the first child ends at once, so that the daemon is no child of this process that it
  // would have to wait for.
  const pid_t child = check_sys(::fork(), "fork");
  if (child == 0) {
    if (::fork() == 0) keep_daemon(program, timeout);
    ::_exit(0);
  }
  check_sys(::waitpid(child, nullptr, 0), "waitpid");
}

bool runs_systemd() { return fs::exists("/run/systemd/system"); }

/// The two programs in the order of preference.
std::array<fs::path, 2> programs_in(const fs::path& directory, const Daemon& daemon) {
  fs::path libvirtd = directory / "libvirtd", own = directory / daemon.own;
  if (daemon.is_in_libvirtd) return {libvirtd, own};
  return {own, libvirtd};
}

std::optional<fs::path> find_program(const fs::path& directory, const Daemon& daemon) {
  for (const fs::path& program : programs_in(directory, daemon))
    if (is_program(program)) return program;
  return std::nullopt;
}

/// Asks for the driver's own daemon where none is known to be installed.
std::vector<std::string> start_sockets(const Daemon& daemon) {
  const auto program = find_program(program_directory, daemon);
  const std::string socket = (program ? program->filename().string() : daemon.own) + ".socket";
  if (!daemon.uses_virtlogd) return {"start", socket};
  return {"start", "virtlogd.socket", socket};
}

/// What systemctl said, in the middle of a sentence.
std::string in_brackets(std::string output) {
  const std::size_t end = output.find_last_not_of(" .\n");
  if (end == std::string::npos) return {};
  return " (" + one_plain_line(output.substr(0, end + 1)) + ")";
}

void start_by_systemd(const Daemon& daemon) {
  const std::vector<std::string> arguments = start_sockets(daemon);
  const SubprocessResult result =
      run_subprocess({.program = "/usr/bin/systemctl",
                      .arguments = arguments,
                      .argv0 = {},
                      .environment = std::vector<std::string>{"PATH=/usr/sbin:/usr/bin:/sbin:/bin"},
                      .stdin_text = {},
                      .timeout = daemon_patience});
  if (result.status == 0) return;
  (void)find_daemon_program(program_directory, daemon);  // not installed: says so
  std::string asked = "systemctl";
  for (const std::string& word : arguments) asked += " " + word;
  throw Error(Errc::unsupported,
              asked + " failed" + in_brackets(result.output) + "; " + advice::libvirt_unit);
}

void start_alone(const Daemon& daemon, std::chrono::seconds idle_timeout) {
  const std::string program = find_daemon_program(program_directory, daemon).string();
  if (daemon.uses_virtlogd) {
    if (!listens(log_socket)) start_daemon("/usr/sbin/virtlogd", idle_timeout);
    if (!wait_for([] { return listens(log_socket); }))
      throw Error(Errc::timed_out, "virtlogd was started but does not listen");
  }
  if (!daemon_listens(daemon)) start_daemon(program, idle_timeout);
}

/// Two husks that start at once must not both start it. The directory of the VMs is the lock, so
/// that no file is left; only root may open it. It goes with the last VM.
DirectoryLock lock_daemon_start() {
  for (const Deadline deadline(daemon_patience);;) {
    if (::mkdir(lock_directory, 0711) != 0 && errno != EEXIST)
      throw_errno(std::string("make directory ") + lock_directory);
    if (auto lock = DirectoryLock::try_lock(lock_directory, daemon_patience))
      return std::move(*lock);
    if (deadline.passed())
      throw Error(Errc::timed_out, "another husk process is taking too long to start libvirtd");
  }
}

/// The console of each of QEMU's VMs goes through virtlogd. Without systemd virtlogd ends when it was idle too long, and then
/// libvirtd alone is not enough.
bool is_ready(const Daemon& daemon) {
  return daemon_listens(daemon) && (!daemon.uses_virtlogd || runs_systemd() || listens(log_socket));
}

}  // namespace

fs::path find_daemon_program(const fs::path& directory, const Daemon& daemon) {
  if (const auto program = find_program(directory, daemon)) return *program;
  const auto [first, second] = programs_in(directory, daemon);
  throw_missing(first.string() + " or " + second.filename().string());
}

UniqueFd daemons_mount_namespace(const Daemon& daemon) {
  const UniqueFd socket = connect_to_daemon(daemon);
  ucred peer{};
  socklen_t size = sizeof peer;
  if (!socket || ::getsockopt(socket.get(), SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) return {};
  return other_mount_namespace(peer.pid);
}

void ensure_libvirt_daemon(const Daemon& daemon, std::chrono::seconds idle_timeout) {
  if (is_ready(daemon)) return;
  const DirectoryLock lock = lock_daemon_start();
  if (is_ready(daemon)) return;
  if (runs_systemd()) {
    start_by_systemd(daemon);
  } else {
    start_alone(daemon, idle_timeout);
  }
  if (!wait_for([&] { return daemon_listens(daemon); }))
    throw Error(Errc::timed_out, "libvirtd or " + daemon.own + " was started but does not listen");
}

}  // namespace husk::hypervisor
