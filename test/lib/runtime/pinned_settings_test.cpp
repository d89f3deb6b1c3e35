// SPDX-License-Identifier: Apache-2.0
#include "lib/runtime/vm/pinned_settings.hpp"

#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <fstream>
#include <thread>

#include "lib/base/error.hpp"
#include "lib/base/unique_fd.hpp"

using namespace husk;
using namespace husk::runtime;

namespace {

using Sysctls = std::map<std::string, std::string>;

/// A process in namespaces of its own, with settings of its own; ends with this object.
class Pod {
 public:
  explicit Pod(const Sysctls& settings, const char* host_name = nullptr) {
    int ready[2];
    check_sys(::pipe(ready), "pipe");
    pid_ = ::fork();
    if (pid_ == 0) {
      if (::unshare(CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS) != 0) ::_exit(1);
      if (host_name != nullptr && ::sethostname(host_name, ::strlen(host_name)) != 0) ::_exit(1);
      for (const auto& [name, value] : settings) std::ofstream("/proc/sys/" + name) << value;
      if (::write(ready[1], "", 1) != 1) ::_exit(1);
      ::pause();
    }
    ::close(ready[1]);
    char byte = 0;
    is_ready_ = ::read(ready[0], &byte, 1) == 1;
    ::close(ready[0]);
  }
  Pod(const Pod&) = delete;
  Pod& operator=(const Pod&) = delete;
  ~Pod() {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  oci::Spec spec() const {
    REQUIRE(is_ready_);
    const std::string folder = "/proc/" + std::to_string(pid_) + "/ns/";
    oci::Spec spec;
    spec.linux_.namespaces = {
        {"network", folder + "net"}, {"ipc", folder + "ipc"}, {"uts", folder + "uts"}, {"pid", {}}};
    return spec;
  }

 private:
  pid_t pid_ = -1;
  bool is_ready_ = false;
};

}  // namespace

TEST_CASE("read_pinned_settings: what differs from new namespaces", "[runtime]") {
  if (::geteuid() != 0) SKIP("needs root");
  const Pod pod({{"net/ipv4/ip_local_port_range", "20000 30000"},
                 {"net/core/somaxconn", "1234"},
                 {"net/ipv4/conf/all/forwarding", "1"},  // lib/network carries it
                 {"kernel/shm_rmid_forced", "1"},
                 {"kernel/sem", "100 200 30 40"},
                 {"fs/mqueue/msg_max", "17"}},
                "pod-7");
  const PinnedSettings found = read_pinned_settings(pod.spec());
  CHECK(found.host_name == "pod-7");
  Sysctls sysctl = found.sysctl;
  sysctl.erase("net.ipv4.ip_forward");  // the same as conf/all/forwarding
  CHECK(sysctl == Sysctls{{"net.ipv4.ip_local_port_range", "20000\t30000"},
                          {"net.core.somaxconn", "1234"},
                          {"kernel.shm_rmid_forced", "1"},
                          {"kernel.sem", "100\t200\t30\t40"},
                          {"fs.mqueue.msg_max", "17"}});
}

TEST_CASE("read_pinned_settings: new namespaces have none", "[runtime]") {
  if (::geteuid() != 0) SKIP("needs root");
  const Pod pod(Sysctls{});
  const PinnedSettings found = read_pinned_settings(pod.spec());
  CHECK(found.sysctl.empty());
  CHECK(found.host_name.empty());
  const Pod after_a_vm(Sysctls{{"net/ipv4/ip_local_port_range", "61440 61951"}});
  CHECK(read_pinned_settings(after_a_vm.spec()).sysctl.empty());  // husk's own range
  oci::Spec none;
  none.linux_.namespaces = {{"network", {}}};
  CHECK(read_pinned_settings(none).sysctl.empty());
  none.linux_.namespaces = {{"network", "/no/such/file"}};
  CHECK_THROWS_AS(read_pinned_settings(none), Error);
}

TEST_CASE("read_pinned_settings: the host's own are not a pod's", "[runtime]") {
  if (::geteuid() != 0) SKIP("needs root");
  oci::Spec hosts;
  hosts.linux_.namespaces = {{"ipc", "/proc/self/ns/ipc"}, {"uts", "/proc/self/ns/uts"}};
  const PinnedSettings found = read_pinned_settings(hosts);
  CHECK(found.sysctl.empty());
  CHECK(found.host_name.empty());
}

TEST_CASE("add_settings: config.json comes first", "[runtime]") {
  oci::Spec spec;
  spec.linux_.sysctl = {{"net.core.somaxconn", "1"}};
  add_settings(spec,
               {.sysctl = {{"net.core.somaxconn", "2"}, {"kernel.sem", "3"}}, .host_name = "pod"});
  CHECK(spec.linux_.sysctl == Sysctls{{"net.core.somaxconn", "1"}, {"kernel.sem", "3"}});
  CHECK(spec.hostname == "pod");
  add_settings(spec, {.sysctl = {}, .host_name = "other"});
  CHECK(spec.hostname == "pod");
}
