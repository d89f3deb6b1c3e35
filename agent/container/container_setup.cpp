// SPDX-License-Identifier: Apache-2.0
#include "agent/container/container_setup.hpp"

#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "agent/container/start_hooks.hpp"
#include "agent/setup/devices.hpp"
#include "agent/setup/keyring.hpp"
#include "agent/setup/mount_calls.hpp"
#include "agent/setup/mounts.hpp"
#include "agent/setup/namespaces.hpp"
#include "agent/setup/packet_filters.hpp"
#include "agent/setup/rootfs.hpp"
#include "agent/setup/sysctl.hpp"
#include "agent/setup/terminal.hpp"
#include "agent/setup/volumes.hpp"
#include "lib/base/error.hpp"
#include "lib/base/files.hpp"
#include "lib/base/trace.hpp"
#include "lib/base/unique_fd.hpp"

namespace husk::agent {
namespace {

void place_socket(int root, const PlacedSocket& socket) {
  step("socket " + socket.target, [&] {
    const UniqueFd target = open_in_root(root, socket.target, O_PATH | O_CLOEXEC);
    attach_mount(clone_mount(AT_FDCWD, socket.source.string(), false).get(), target.get());
  });
}

/// Everything about files and mounts: from the agent's view to the container's.
void enter_rootfs(const oci::Spec& spec, const ChildDescriptors& fds,
                  const std::optional<PlacedSocket>& socket) {
  const oci::Linux& config = spec.linux_;
  Laps laps;
  const UniqueFd null{check_sys(::open("/dev/null", O_PATH | O_CLOEXEC), "open /dev/null")};
  apply_cgroup_namespace();  // first, so that a cgroup mount shows the container's own part only
  const UniqueFd root = apply_rootfs(spec);
  laps.end("rootfs");
  const std::vector<UniqueFd> to_seal = apply_mounts(root.get(), spec);
  if (socket) place_socket(root.get(), *socket);
  laps.end("mounts of the container");
  apply_devices(root.get(), spec, has_namespace(spec, "user"));  // after /dev is mounted
  if (take_terminal(root.get(), *spec.process, fds)) apply_console(root.get());
  laps.end("devices");
  apply_working_directory(root.get(), spec.process->cwd);  // while the root can be written
  laps.end("working directory");
  apply_masked_paths(root.get(), null.get(), config.masked_paths);
  apply_readonly_paths(root.get(), config.readonly_paths);
  laps.end("masked and read-only paths");
  seal_mounts(to_seal);  // a read-only /dev is filled by now
  apply_pivot(root.get());
  apply_rootfs_propagation(root.get(),
                           config.rootfs_propagation);       // pivot_root wants no shared root
  if (spec.root->readonly) apply_readonly_root(root.get());  // last: all above writes to it
  laps.end("pivot");
}

void make_container(const std::string& keyring, const oci::Spec& spec, const ChildDescriptors& fds,
                    const std::optional<PlacedSocket>& socket) {
  Laps laps;
  // Its hooks, and what is executed in it before its start, see this process in /proc while it still is
  // the agent's copy: none may read its memory or open its program (CVE-2016-9962, CVE-2019-5736). exec
  // undoes it.
  check_sys(::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0), "set not dumpable");
  load_packet_filters(*spec.process);
  laps.end("packet filters");
  mount_volumes(
      bind_sources(spec));  // in the agent's mount namespace, of which this one's is a copy
  apply_mount_namespace();
  laps.end("volumes");
  for (const int shared : fds.joined) check_sys(::setns(shared, 0), "join a shared namespace");
  become_namespace_root(spec);
  join_session_keyring(keyring);
  apply_time_namespace(spec);  // through the agent's /proc, like the sysctls
  apply_host_name(spec);
  apply_sysctls(spec);
  laps.end("namespaces");
  enter_rootfs(spec, fds, socket);
}

}  // namespace

void become_namespace_root(const oci::Spec& spec) {
  if (!has_namespace(spec, "user")) return;
  check_sys(::setresgid(0, 0, 0), "become root of the user namespace");
  check_sys(::setgroups(0, nullptr), "drop groups");
  check_sys(::setresuid(0, 0, 0), "become root of the user namespace");
}

void run_container_init(const std::string& keyring, const oci::Spec& spec,
                        const ChildDescriptors& fds, const std::optional<PlacedSocket>& socket,
                        const std::string& hook_state) noexcept {
  run_child(
      *spec.process, spec.linux_, fds, [&] { make_container(keyring, spec, fds, socket); },
      [&] { run_start_hooks(spec.hooks.start_container, hook_state); });
}

}  // namespace husk::agent
