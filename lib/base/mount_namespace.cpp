// SPDX-License-Identifier: Apache-2.0
#include "lib/base/mount_namespace.hpp"

#include <fcntl.h>
#include <sched.h>
#include <sys/stat.h>

#include <future>
#include <string>
#include <thread>

#include "lib/base/error.hpp"

namespace husk {

UniqueFd other_mount_namespace(pid_t pid) {
  const std::string path = "/proc/" + std::to_string(pid) + "/ns/mnt";
  UniqueFd there{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
  struct stat own {
  }, others{};
  if (!there || ::fstat(there.get(), &others) != 0 || ::stat("/proc/thread-self/ns/mnt", &own) != 0)
    return {};
  if (own.st_dev == others.st_dev && own.st_ino == others.st_ino) return {};
  return there;
}

void in_mount_namespace(int mount_namespace, const std::function<void()>& body) {
  std::packaged_task<void()> task([&] {
    // setns(2) asks for a root and a working directory that no other thread has.
    check_sys(::unshare(CLONE_FS), "unshare the root and the working directory");
    check_sys(::setns(mount_namespace, CLONE_NEWNS), "enter a mount namespace");
    body();
  });
  std::future<void> done = task.get_future();
  std::thread(std::move(task)).join();
  done.get();
}

}  // namespace husk
