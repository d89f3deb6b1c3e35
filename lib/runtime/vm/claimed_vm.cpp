// SPDX-License-Identifier: Apache-2.0
#include "lib/runtime/vm/claimed_vm.hpp"

#include "lib/base/cgroup_directories.hpp"
#include "lib/base/error.hpp"
#include "lib/base/log.hpp"
#include "lib/base/trace.hpp"
#include "lib/runtime/plan/vm_shape.hpp"
#include "lib/runtime/vm/adoption.hpp"
#include "lib/runtime/vm/container_network.hpp"
#include "lib/runtime/vm/end_vm.hpp"
#include "lib/runtime/vm/resize_vm.hpp"

namespace husk::runtime {
namespace {

VmLeftOvers left_overs_of(const VmRecord& vm) {
  VmLeftOvers left;
  left.name = vm.name;
  left.uri = vm.uri;
  left.process = vm.process;
  left.helpers = vm.helpers;
  return left;
}

}  // namespace

ClaimedVm::ClaimedVm(TakenSpare& spare, const hypervisor::ConnectHypervisor& connect)
    : record_(spare.record),
      cgroups_(spare.record.cgroups),
      connect_(connect),
      keeper_(std::move(spare.keeper)),
      agent_(std::move(spare.agent)) {}

ClaimedVm::~ClaimedVm() {
  if (is_kept_) return;
  warn_on_failure([&] { end_vm(record_.id, left_overs_of(record_), connect_); });
  remove_cgroups(cgroups_);
}

void ClaimedVm::adopt(const ProcessIdentity& shim, HostCgroup& cgroup,
                      const std::vector<hypervisor::NetworkCard>& cards) {
  const Span span("VM's cgroup, keeper and taps");
  const VmPaths paths(record_.id);
  cgroup.add(record_.process.value().pid);
  for (const ProcessIdentity& helper : record_.helpers) {
    try {
      cgroup.add(helper.pid);
    } catch (const Error&) {
      if (is_alive(helper)) throw;
    }
  }
  remove_cgroups(cgroups_);
  hand_over(keeper_, paths, {*record_.process, record_.helpers}, shim);
  place_parked_taps(cards, paths.parked_network(), shim);
}

void ClaimedVm::resize(VmRecord& vm, const VmSize& wanted, guestcomm::AgentClient& agent) {
  const hypervisor::VmShape shape = resized(vm.shape.value(), wanted);
  if (shape == vm.shape) return;
  give_shape(vm, shape, *connect_({.uri = vm.uri}), agent);
}

}  // namespace husk::runtime
