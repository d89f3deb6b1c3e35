// SPDX-License-Identifier: Apache-2.0
#include "lib/hypervisor/libvirt_daemon.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "lib/base/detach.hpp"
#include "lib/base/error.hpp"
#include "lib/base/subprocess.hpp"
#include "lib/base/unique_fd.hpp"

namespace husk::hypervisor {
namespace {

using namespace std::chrono_literals;

constexpr const char* log_socket = "/run/libvirt/virtlogd-sock";
constexpr const char* daemon_sockets[] = {"/run/libvirt/libvirt-sock",
                                          "/run/libvirt/virtqemud-sock"};
constexpr auto patience = 30s;

bool listens(const char* path) {
  const UniqueFd socket{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, path, sizeof address.sun_path - 1);
  return ::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
}

bool daemon_listens() { return listens(daemon_sockets[0]) || listens(daemon_sockets[1]); }

template <typename Condition>
bool wait_for(Condition&& condition) {
  const auto deadline = std::chrono::steady_clock::now() + patience;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(20ms);
  }
  return true;
}

/// The program daemonizes itself; its first process, our child, ends when the daemon is ready.
void start_daemon(const std::string& program, std::chrono::seconds idle_timeout) {
  if (::access(program.c_str(), X_OK) != 0) {
    throw Error(Errc::unsupported, "libvirt is not installed (" + program +
                                       " is missing); install libvirt-daemon-system");
  }
  const std::string timeout = std::to_string(idle_timeout.count());
  const pid_t child = check_sys(::fork(), "fork");
  if (child == 0) {
    try {
      detach_process({});
      const char* const arguments[] = {program.c_str(), "--daemon", "--timeout", timeout.c_str(),
                                       nullptr};
      const char* const environment[] = {
          "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8",
          nullptr};
      ::execve(program.c_str(), const_cast<char**>(arguments), const_cast<char**>(environment));
    } catch (const std::exception&) {
      ::_exit(126);
    }
    ::_exit(127);
  }
  int status = 0;
  check_sys(::waitpid(child, &status, 0), "waitpid");
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
    throw Error(Errc::system,
                program + " --daemon could not be started (status " + std::to_string(status) + ")");
  }
}

void start_by_systemd() {
  const SubprocessResult result =
      run_subprocess({.program = "/usr/bin/systemctl",
                      .arguments = {"start", "virtlogd.socket", "libvirtd.socket"},
                      .argv0 = {},
                      .environment = std::vector<std::string>{"PATH=/usr/sbin:/usr/bin:/sbin:/bin"},
                      .stdin_text = {},
                      .timeout = patience});
  if (result.status != 0) {
    throw Error(Errc::unsupported,
                "systemctl start libvirtd.socket failed; is libvirt-daemon-system installed?");
  }
}

}  // namespace

void ensure_libvirt_daemon(std::chrono::seconds idle_timeout) {
  if (daemon_listens()) return;
  // Two husks that start at once must not both start it. The lock is left in /run: removing a lock
  // file is a race.
  const UniqueFd lock{
      check_sys(::open("/run/lock/husk-libvirt", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600),
                "open /run/lock/husk-libvirt")};
  check_sys(::flock(lock.get(), LOCK_EX), "lock /run/lock/husk-libvirt");
  if (daemon_listens()) return;
  if (std::filesystem::exists("/run/systemd/system")) {
    start_by_systemd();
  } else {
    if (!listens(log_socket)) start_daemon("/usr/sbin/virtlogd", idle_timeout);
    if (!wait_for([] { return listens(log_socket); }))
      throw Error(Errc::timed_out, "virtlogd was started but does not listen");
    start_daemon("/usr/sbin/libvirtd", idle_timeout);
  }
  if (!wait_for(daemon_listens))
    throw Error(Errc::timed_out, "libvirtd was started but does not listen");
}

}  // namespace husk::hypervisor
