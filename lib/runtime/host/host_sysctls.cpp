// SPDX-License-Identifier: Apache-2.0
#include "lib/runtime/host/host_sysctls.hpp"

#include <array>

#include "lib/base/error.hpp"
#include "lib/base/files.hpp"
#include "lib/base/log.hpp"

namespace husk::runtime {
namespace {

/// Limits of the whole kernel. A guest's kernel computes most of them from its memory, which is small. Sysctls of a
/// namespace are in config.json, or are carried with the network. kernel/threads-max is not among them: the guest's memory
/// bounds the threads.
constexpr std::array host_sysctl_names{"fs/aio-max-nr",
                                       "fs/epoll/max_user_watches",
                                       "fs/file-max",
                                       "fs/inotify/max_queued_events",
                                       "fs/inotify/max_user_instances",
                                       "fs/inotify/max_user_watches",
                                       "fs/nr_open",
                                       "fs/pipe-max-size",
                                       "kernel/keys/maxbytes",
                                       "kernel/keys/maxkeys",
                                       "kernel/keys/root_maxbytes",
                                       "kernel/keys/root_maxkeys",
                                       "kernel/pid_max",
                                       "net/core/netdev_max_backlog",
                                       "net/core/optmem_max",
                                       "net/core/rmem_default",
                                       "net/core/rmem_max",
                                       "net/core/wmem_default",
                                       "net/core/wmem_max",
                                       "user/max_cgroup_namespaces",
                                       "user/max_ipc_namespaces",
                                       "user/max_mnt_namespaces",
                                       "user/max_net_namespaces",
                                       "user/max_pid_namespaces",
                                       "user/max_time_namespaces",
                                       "user/max_user_namespaces",
                                       "user/max_uts_namespaces",
                                       "vm/max_map_count"};

constexpr std::size_t max_sysctl_bytes = 4096;

}  // namespace

KernelParameters load_host_sysctls(const std::filesystem::path& proc_sys) {
  KernelParameters found;
  for (const char* name : host_sysctl_names) {
    if (!std::filesystem::exists(proc_sys / name)) continue;
    // One that cannot be read (a masked /proc/sys) is missed by few containers.
    warn_on_failure([&] {
      std::string value = read_file(proc_sys / name, max_sysctl_bytes);
      while (!value.empty() && value.back() == '\n') value.pop_back();
      found.emplace(name, std::move(value));
    });
  }
  return found;
}

}  // namespace husk::runtime
