// SPDX-License-Identifier: Apache-2.0
#include "lib/runtime/host/bind_source.hpp"

#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include <future>
#include <sstream>
#include <thread>

#include "lib/base/error.hpp"
#include "lib/runtime/host/cgroup_mounts.hpp"
#include "lib/runtime/host/mount_tree.hpp"

namespace husk::runtime {
namespace {

UniqueFd copy_source(const BindRequest& request) {
  if (request.overlay) return make_overlay(*request.overlay);
  UniqueFd copy = copy_mount(request.path, request.recursive);
  // At once: as the peer of the host's mount, what is mounted or unmounted in the copy would reach the
  // host. A private copy shows nothing that the host mounts later, so that "ro" and "not recursive"
  // hold for as long as the container lives.
  set_propagation(copy.get(), request.follow_host ? MS_SLAVE : MS_PRIVATE, request.recursive);
  if (is_cgroup_filesystem(copy.get())) return make_filesystem("tmpfs", "husk", {{"mode", "0555"}});
  if (!request.recursive || !has_cgroup_mounts_below(request.path)) return copy;
  return without_cgroup_mounts(std::move(copy));
}

/// Empty where the file system does not say.
std::vector<std::string> restrictions_of(int tree) {
  struct statvfs status {};
  if (::fstatvfs(tree, &status) != 0) return {};
  std::vector<std::string> options;
  for (const auto& [flag, option] :
       {std::pair{ST_NOSUID, "nosuid"}, {ST_NODEV, "nodev"}, {ST_NOEXEC, "noexec"}})
    if ((status.f_flag & static_cast<unsigned long>(flag)) != 0) options.emplace_back(option);
  return options;
}

BindSource open_now(const BindRequest& request) {
  BindSource source{.tree = copy_source(request), .directory = false};
  struct stat status {};
  check_sys(::fstat(source.tree.get(), &status), "stat " + request.path.string());
  source.directory = S_ISDIR(status.st_mode);
  std::ostringstream identity;
  identity << std::hex << status.st_dev << '-' << status.st_ino;
  source.identity = identity.str();
  source.options = restrictions_of(source.tree.get());
  return source;
}

}  // namespace

BindSource open_bind_source(const BindRequest& request, std::chrono::seconds patience) {
  // In a thread: on a dead file system no call has a time limit, and only the whole process's end
  // gets a thread out of it. The thread uses nothing of this call's, which may have given up by
  // then.
  std::packaged_task<BindSource()> task([=] { return open_now(request); });
  std::future<BindSource> opened = task.get_future();
  std::thread worker(std::move(task));
  if (opened.wait_for(patience) != std::future_status::ready) {
    worker.detach();
    throw Error(Errc::timed_out, request.path.string() + ": the file system does not respond");
  }
  worker.join();  // or the shim could be cloned while it holds the allocator's lock
  return opened.get();
}

}  // namespace husk::runtime
