// SPDX-License-Identifier: Apache-2.0
// A Runtime with its real shim, keeper and vsock device, and fake VMs, in a mount namespace with a
// /run of its own: what is left of a container is then known from what others do on the host.
#pragma once

#include <sys/types.h>

#include <functional>
#include <string>
#include <vector>

#include "lib/base/unique_fd.hpp"
#include "lib/oci/spec.hpp"
#include "lib/runtime/runtime.hpp"
#include "test/lib/base/scratch.hpp"
#include "test/lib/runtime/fake_vm.hpp"

namespace husk::test {

/// A mount namespace with an empty /run; the former one again on destruction.
class OwnRun {
 public:
  OwnRun();
  OwnRun(const OwnRun&) = delete;
  OwnRun& operator=(const OwnRun&) = delete;
  ~OwnRun();

 private:
  UniqueFd outside_, directory_;
};

class HuskBench {
 public:
  /// Skips the test where it cannot run, with the reason.
  HuskBench();
  HuskBench(const HuskBench&) = delete;
  HuskBench& operator=(const HuskBench&) = delete;
  ~HuskBench();  ///< ends every process that is left

  runtime::Runtime runtime();
  runtime::CreateRequest request();  ///< writes the spec into the bundle
  runtime::CreatedContainer create() { return runtime().create(request()); }
  runtime::CreatedContainer create_and_start();
  std::vector<std::string> journal() const;
  /// Whether the agent was asked for that, within a generous time.
  bool await_journal(const std::string& line) const;

  std::filesystem::path path(const std::string& name) const { return scratch_.path() / name; }
  /// Everything of the container that is there: state, mounts, folders, cgroups, processes.
  std::vector<std::string> look() const;
  /// The same after a generous time for what ends by itself.
  std::vector<std::string> left() const;
  /// The id of the container's VM, from the container's record.
  std::string vm_id() const;
  std::string text_in(const std::string& name) const;

  std::string id;
  oci::Spec spec;  ///< /bin/husk-test-<random>, in its own cgroup
  runtime::Config config;
  runtime::InstallPaths paths;
  FakeMachine machine;
  runtime::KillPatience kill_patience;

 private:
  Scratch scratch_;
  OwnRun own_run_;
  std::string name_;
  UniqueFd stdin_;
};

/// A copy of this process's, whose mounts are `propagation` of this process's: MS_PRIVATE, as with
/// unshare(1), or MS_SLAVE, as with systemd's PrivateMounts=.
UniqueFd copy_mount_namespace(unsigned long propagation);

/// A hook that runs a shell script, which has the bench's directory as $BENCH.
oci::Hook script_hook(const HuskBench& bench, const std::string& script);

/// The text of the Error that `f` throws; fails the test if there is none.
std::string failure_text(const std::function<void()>& f);

/// A connection to the bench's machine, as the commands take it.
inline hypervisor::ConnectHypervisor connecting(HuskBench& bench) {
  return [&](const auto&) { return std::make_unique<FakeHypervisor>(bench.machine); };
}

}  // namespace husk::test
