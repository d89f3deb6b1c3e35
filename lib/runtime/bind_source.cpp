// SPDX-License-Identifier: Apache-2.0
#include "lib/runtime/bind_source.hpp"

#include <sys/mount.h>
#include <sys/stat.h>

#include <future>
#include <thread>

#include "lib/base/error.hpp"
#include "lib/runtime/mount_tree.hpp"

namespace husk::runtime {
namespace {

BindSource open_now(const std::filesystem::path& path, bool recursive) {
  BindSource source{.tree = copy_mount(path, recursive), .directory = false};
  // A slave: what the caller unmounts later goes here too, what husk unmounts stays with the
  // caller.
  set_propagation(source.tree.get(), MS_SLAVE, recursive);
  struct stat status {};
  check_sys(::fstat(source.tree.get(), &status), "stat " + path.string());
  source.directory = S_ISDIR(status.st_mode);
  return source;
}

}  // namespace

BindSource open_bind_source(const std::filesystem::path& path, bool recursive,
                            std::chrono::seconds patience) {
  // In a thread: on a dead file system no call has a time limit, and only the whole process's end
  // gets a thread out of it. The thread uses nothing of this call's, which may have given up by
  // then.
  std::packaged_task<BindSource()> task([=] { return open_now(path, recursive); });
  std::future<BindSource> opened = task.get_future();
  std::thread worker(std::move(task));
  if (opened.wait_for(patience) != std::future_status::ready) {
    worker.detach();
    throw Error(Errc::timed_out, path.string() + ": does not answer");
  }
  worker.join();  // or the shim could be cloned while it holds the allocator's lock
  return opened.get();
}

}  // namespace husk::runtime
