// SPDX-License-Identifier: Apache-2.0
#include "agent/boot/boot.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <memory>
#include <sstream>

#include "agent/boot/kernel_settings.hpp"
#include "agent/boot/modules.hpp"
#include "agent/setup/cgroup.hpp"
#include "agent/setup/guest_reserve.hpp"
#include "lib/base/error.hpp"
#include "lib/base/files.hpp"
#include "lib/base/log.hpp"
#include "lib/base/loopback.hpp"
#include "lib/base/parse_number.hpp"
#include "lib/base/trace.hpp"
#include "lib/base/unique_fd.hpp"
#include "lib/guestcomm/protocol/share.hpp"
#include "lib/guestcomm/protocol/vm_messages.hpp"

namespace husk::agent {
namespace {

struct BootMount {
  const char *type, *target;
  unsigned long flags;
  const char* data;
};

constexpr std::array boot_mounts{
    BootMount{"proc", "/proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr},
    BootMount{"sysfs", "/sys", MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr},
    BootMount{"devtmpfs", "/dev", MS_NOSUID, "mode=0755"},
    BootMount{"devpts", "/dev/pts", MS_NOSUID | MS_NOEXEC, "gid=5,mode=0620,ptmxmode=0666"},
    BootMount{"tmpfs", "/dev/shm", MS_NOSUID | MS_NODEV, "mode=1777"},
    BootMount{"tmpfs", "/run", MS_NOSUID | MS_NODEV, "mode=0755"},
    // nsdelegate: a container that may write to its cgroup does not lift its own limits.
    BootMount{"cgroup2", "/sys/fs/cgroup", MS_NOSUID | MS_NODEV | MS_NOEXEC, "nsdelegate"}};

/// The initial root file system cannot be left by pivot_root (pivot_root(2)); a bind mount of
/// itself on top of it can.
void leave_initial_root() {
  std::filesystem::create_directory("/root");
  check_sys(::mount("/", "/root", nullptr, MS_BIND, nullptr), "bind /");
  check_sys(::chdir("/root"), "change to /root");
  check_sys(::mount(".", "/", nullptr, MS_MOVE, nullptr), "move mount to /");
  check_sys(::chroot("."), "chroot");
  check_sys(::chdir("/"), "change to /");
}

void make_mount(const BootMount& mount) {
  std::filesystem::create_directories(mount.target);
  const int result = ::mount(mount.type, mount.target, mount.type, mount.flags, mount.data);
  // The kernel mounts devtmpfs by itself if it was built to.
  if (result != 0 && errno != EBUSY) throw_errno(std::string("mount ") + mount.target);
}

/// The kernel starts /sbin/modprobe in the initial root, which nobody sees after leave_initial_root(): links there lead
/// through /proc/1/root to the modules in the share (rootfs-builder/initrd).
void let_kernel_find_modules() { make_mount(boot_mounts.front()); }

/// The kernel opens the console for its first process, unless there was no /dev/console yet.
void open_standard_streams() {
  const UniqueFd null{check_sys(::open("/dev/null", O_RDWR | O_CLOEXEC), "open /dev/null")};
  for (int fd = 0; fd < 3; ++fd) check_sys(::dup2(null.get(), fd), "dup2");
}

/// Logs to the kernel's log, which limits the rate of /dev/kmsg itself and goes to the console.
void log_to_kernel(bool debug) {
  auto kmsg = std::make_shared<UniqueFd>(::open("/dev/kmsg", O_WRONLY | O_CLOEXEC));
  if (!*kmsg) return;
  set_log_sink([kmsg, debug](LogLevel level, std::string_view message) {
    if (level == LogLevel::debug && !debug) return;
    constexpr std::array priorities{"<7>", "<6>", "<4>", "<3>"};
    std::string line = priorities.at(static_cast<std::size_t>(level));
    line.append("husk-agent: ").append(message.substr(0, 800));
    for (char& letter : line) {
      if (letter == '\n') letter = ' ';  // a container's bytes must not look like another line
    }
    [[maybe_unused]] const ssize_t written = ::write(kmsg->get(), line.data(), line.size());
  });
}

void mount_share() {
  std::filesystem::create_directories(guestcomm::share_mount_point);
  check_sys(::mount(guestcomm::share_tag, guestcomm::share_mount_point, "virtiofs", 0, nullptr),
            std::string("mount share at ") + guestcomm::share_mount_point);
}

/// The agent's own, and what a container without rlimits of its own inherits; as generous as a
/// host's service manager.
void raise_limits() {
  const struct rlimit files { 1u << 20, 1u << 20 }, unlimited{RLIM_INFINITY, RLIM_INFINITY};
  ::setrlimit(RLIMIT_NOFILE, &files);
  ::setrlimit(RLIMIT_NPROC, &unlimited);
  ::setrlimit(RLIMIT_MEMLOCK, &unlimited);
  ::setrlimit(RLIMIT_SIGPENDING, &unlimited);
}

/// Where this fails some containers fail, with an error of their own; the guest still answers.
template <std::invocable F>
void try_step(const char* doing, F&& f) {
  try {
    std::forward<F>(f)();
  } catch (const std::exception& error) {
    log(LogLevel::error, std::string(doing) + ": " + error.what());
  }
}

/// What cannot be read may hold a parameter of the administrator's: then no container starts.
void apply_host_settings(BootOptions& options) {
  try {
    AppliedSettings applied = apply_kernel_settings(load_kernel_settings(
        std::filesystem::path(guestcomm::share_mount_point) / guestcomm::share_kernel_settings));
    options.changed = std::move(applied.changed);
    options.refusal = std::move(applied.refusal);
  } catch (const std::exception& error) {
    options.refusal = std::string("the host's kernel settings: ") + error.what();
  }
}

/// Without it, whatever needs a module would fail much later and name none.
void check_modules(BootOptions& options) {
  struct utsname running {};
  if (::uname(&running) != 0 || options.refusal) return;
  options.refusal =
      wrong_modules(std::filesystem::path(guestcomm::share_mount_point) / guestcomm::share_modules,
                    running.release);
}

}  // namespace

BootOptions parse_command_line(const std::string& command_line) {
  BootOptions options;
  std::istringstream words(command_line);
  for (std::string word; words >> word;) {
    constexpr std::string_view announce = "husk.announce=";
    if (word == "husk.debug") options.debug = true;
    if (word == "husk.stay") options.stay = true;
    if (word == "husk.spare") options.spare = true;
    if (word == "husk.privileged_ports") options.privileged_ports = true;
    if (!word.starts_with(announce)) continue;
    const auto port = parse_number<std::uint32_t>(std::string_view(word).substr(announce.size()));
    if (port && *port != 0) options.announce_port = *port;
  }
  return options;
}

BootOptions boot() {
  start_trace(guestcomm::GuestTrace::max_spans);
  try_step("trace", share_trace_with_children);
  record_span("kernel", {});
  Laps laps;
  ::prctl(PR_SET_NAME, "husk-agent", 0, 0, 0);
  ::umask(022);
  let_kernel_find_modules();
  leave_initial_root();
  for (const BootMount& mount : boot_mounts) make_mount(mount);
  open_standard_streams();
  laps.end("mounts");
  BootOptions options = parse_command_line(read_file("/proc/cmdline", 64u << 10));
  log_to_kernel(options.debug);
  load_first_modules();
  laps.end("first modules");
  try_step("loopback", bring_loopback_up);
  try_step("share", mount_share);
  laps.end("share");
  apply_host_settings(options);
  check_modules(options);
  laps.end("kernel settings");
  try_step("cgroups", [] { prepare_cgroup_parent(cgroup_parent); });
  // A container is below it and in a cgroup namespace of its own, so that it cannot lift these limits.
  try_step("the agent's reserve", [] {
    apply_container_share(plan_container_share(load_guest_capacity()), cgroup_parent);
  });
  raise_limits();
  laps.end("cgroups");
  return options;
}

}  // namespace husk::agent
