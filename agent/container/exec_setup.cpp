// SPDX-License-Identifier: Apache-2.0
#include "agent/container/exec_setup.hpp"

#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "agent/container/container_setup.hpp"
#include "agent/setup/keyring.hpp"
#include "agent/setup/namespaces.hpp"
#include "agent/setup/shared_files.hpp"
#include "lib/base/error.hpp"
#include "lib/base/unique_fd.hpp"

namespace husk::agent {
namespace {

/// All that the first process has of its own; the network is the guest's.
int joined_namespaces(const oci::Spec& container) {
  auto wanted = static_cast<int>(clone_flags(container)) | CLONE_NEWCGROUP;
  if (has_namespace(container, "time")) wanted |= CLONE_NEWTIME;
  return wanted & ~CLONE_NEWPID;  // by clone3
}

void join_container(const std::string& keyring, const oci::Process& process,
                    const oci::Spec& container, const ChildDescriptors& fds) {
  // From here on processes of the container can see this one in /proc, while it still has rights of
  // the agent's: none of them may open what it has, or trace it (CVE-2016-9962, CVE-2019-5736).
  check_sys(::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0), "set not dumpable");
  check_sys(::setns(fds.first, joined_namespaces(container)), "join the container's namespaces");
  become_namespace_root(container);
  join_session_keyring(keyring);
  const UniqueFd root{check_sys(::open("/", O_PATH | O_DIRECTORY | O_CLOEXEC), "open /")};
  take_terminal(root.get(), process, fds);
}

}  // namespace

void run_exec(const std::string& keyring, const oci::Process& process, const oci::Spec& container,
              pid_t first, const ChildDescriptors& fds) noexcept {
  run_child(
      process, container.linux_, fds,
      [&] {
        forget_shared_files(first);  // while it has the agent's rights
        join_container(keyring, process, container, fds);
      },
      [] {});
}

}  // namespace husk::agent
