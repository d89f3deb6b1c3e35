// SPDX-License-Identifier: Apache-2.0
#include "lib/runtime/vm/warm_up.hpp"

#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <thread>

#include "lib/base/deadline.hpp"
#include "lib/base/error.hpp"
#include "lib/base/log.hpp"
#include "lib/guestcomm/protocol/container_messages.hpp"
#include "lib/guestcomm/protocol/create_messages.hpp"
#include "lib/guestcomm/protocol/process_messages.hpp"
#include "lib/oci/bundle.hpp"
#include "lib/oci/example.hpp"
#include "lib/runtime/host/mount_tree.hpp"
#include "lib/runtime/plan/plan.hpp"
#include "lib/runtime/vm/process_streams.hpp"

namespace husk::runtime {
namespace {

using namespace std::chrono_literals;
namespace fs = std::filesystem;

constexpr const char* container = "husk-warm-up";
constexpr auto guest_patience = 60s;
constexpr auto look_again = 20ms;

/// The root directory of the container: a tmpfs of its own, since the VM's directory cannot be bound.
class SmallRoot {
 public:
  SmallRoot(fs::path path, const fs::path& busybox) : path_(std::move(path)) {
    check_sys(::mkdir(path_.c_str(), 0700), "make directory " + path_.string());
    try {
      const UniqueFd made =
          make_filesystem("tmpfs", "husk-warm-up", {{"mode", "0755"}, {"size", "8m"}});
      attach_mount(made.get(), path_);
      for (const char* name : {"dev", "proc", "sys"}) fs::create_directory(path_ / name);
      fs::copy_file(busybox, path_ / "true");
    } catch (...) {
      remove();
      throw;
    }
  }
  SmallRoot(const SmallRoot&) = delete;
  SmallRoot& operator=(const SmallRoot&) = delete;
  ~SmallRoot() { remove(); }
  const fs::path& path() const noexcept { return path_; }

 private:
  void remove() const noexcept {
    ::umount2(path_.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW);
    ::rmdir(path_.c_str());
  }
  fs::path path_;
};

/// Pinned as long as the object lives.
class Pinned {
 public:
  Pinned(const VmDirectory& directory, const fs::path& rootfs, const GuestPlan& plan)
      : directory_(directory) {
    directory_.add_container(container, rootfs, plan);
  }
  Pinned(const Pinned&) = delete;
  Pinned& operator=(const Pinned&) = delete;
  ~Pinned() {
    warn_on_failure([&] { directory_.remove_container(container); });
  }

 private:
  const VmDirectory& directory_;
};

GuestPlan plan_container(const VmPaths& paths, const fs::path& rootfs) {
  oci::Bundle bundle{
      .directory = paths.directory, .rootfs = rootfs, .spec = oci::example_spec(false, 0, 0)};
  bundle.spec.process->terminal = false;
  bundle.spec.process->args = {"/true"};
  return plan_guest(container, bundle);
}

/// As soon as the process has ended.
void delete_in_guest(guestcomm::AgentClient& agent) {
  for (const Deadline deadline(guest_patience);;) {
    try {
      agent.call(guestcomm::DeleteContainer{container}, guest_patience);
      return;
    } catch (const Error& e) {
      if (e.code() != Errc::wrong_state || deadline.passed()) throw;
      std::this_thread::sleep_for(look_again);
    }
  }
}

void run_in_guest(const VmHandle& vm, const GuestPlan& plan) {
  // Hears of the process's end, and can say nothing more then.
  guestcomm::AgentClient owner = vm.connect(guest_patience);
  const ProcessStreams streams = open_streams(vm.guest(), std::nullopt);
  owner.call(
      guestcomm::CreateContainer{.id = container, .spec = plan.spec, .stdio = streams.tokens},
      guest_patience);
  guestcomm::AgentClient agent = vm.connect(guest_patience);
  agent.call(guestcomm::StartProcess{{container, {}}}, guest_patience);
  delete_in_guest(agent);
}

}  // namespace

void warm_up(NewVm& vm, const fs::path& busybox) {
  const VmHandle handle = vm.handle();
  const SmallRoot root(handle.paths().directory / "warm-up", busybox);
  const GuestPlan plan = plan_container(handle.paths(), root.path());
  const Pinned pinned(vm.directory(), root.path(), plan);
  run_in_guest(handle, plan);
}

}  // namespace husk::runtime
