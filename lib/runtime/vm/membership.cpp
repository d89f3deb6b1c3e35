// SPDX-License-Identifier: Apache-2.0
#include "lib/runtime/vm/membership.hpp"

#include <algorithm>

#include "lib/base/log.hpp"
#include "lib/runtime/vm/find_namespaces.hpp"
#include "lib/runtime/vm/leave_vm.hpp"
#include "lib/runtime/vm/other_mount_namespace.hpp"
#include "lib/runtime/vm/resize_vm.hpp"
#include "lib/runtime/vm/vm_lock.hpp"

namespace husk::runtime {
namespace {

/// The first container of a pod holds the lock until its guest has booted.
constexpr std::chrono::seconds boot_patience{120};

void add_member(VmRecord& record, const std::string& container,
                const std::optional<Demand>& demand) {
  if (record.process && !is_alive(*record.process)) throw vm_gone(record.id);
  if (std::ranges::find(record.members, container, &VmMember::id) != record.members.end())
    throw Error(Errc::already_exists,
                "VM " + record.id + ": container with given ID already exists in it");
  record.members.push_back({.id = container, .demand = demand});
}

void note_shim(VmRecord& record, const std::string& container, const ProcessIdentity& shim) {
  const auto member = std::ranges::find(record.members, container, &VmMember::id);
  if (member == record.members.end()) throw vm_gone(record.id);
  member->shim = shim;
}

void note_tmpfs(VmRecord& record, const GuestPlan& plan) {
  for (const guestcomm::SharedTmpfs& shared : plan.shared_tmpfs)
    if (shared.is_kept &&
        std::ranges::find(record.guest_tmpfs, shared.name) == record.guest_tmpfs.end())
      record.guest_tmpfs.push_back(shared.name);
}

}  // namespace

Membership::Membership(const ContainerRecord& container, const std::optional<VmPlan>& new_vm,
                       const std::optional<Demand>& demand, hypervisor::ConnectHypervisor connect,
                       StateDir& state, std::optional<TakenSpare> spare)
    : vm_id_(container.vm_id),
      container_(container.id),
      connect_(std::move(connect)),
      state_(state) {
  if (spare) {
    new_vm_.emplace(new_vm.value(), std::move(*spare), connect_);
  } else if (new_vm) {
    new_vm_.emplace(*new_vm);
  } else {
    load_vm(vm_id_);  // throws "is gone", which the next check could not tell
  }
  if (const VmPaths paths(vm_id_); !shows_vm_directory(paths))
    throw other_mount_namespace_error(paths);
  change_record([&](VmRecord& record) { add_member(record, container_, demand); });
  leave_ = !new_vm_;
}

Membership::~Membership() {
  if (!leave_) return;
  // `delete --force` can do it again where this fails.
  warn_on_failure([&] {
    state_.keep();
    leave_vm(vm_id_, container_, {}, connect_);
    state_.keep(false);
  });
  if (grown_) warn_on_failure([&] { fit_vm(vm_id_, *grown_, Fit::shrink, connect_); });
}

void Membership::change_record(const std::function<void(VmRecord&)>& change) {
  if (new_vm_) {
    new_vm_->change_record(change);
  } else {
    change_vm(vm_id_, change, boot_patience);
  }
}

void Membership::note_cgroups(const std::vector<std::filesystem::path>& made) {
  change_record([&](VmRecord& record) {
    if (record.pod) record.cgroups = find_cgroups_of_pod(*record.pod);
    record.cgroups.insert(record.cgroups.end(), made.begin(), made.end());
  });
}

PinnedBinds Membership::pin_files(const std::filesystem::path& rootfs, const GuestPlan& plan) {
  PinnedBinds pinned = add_files(rootfs, plan);
  // Not before: a tmpfs that is not pinned may go, and another one may get its name.
  if (std::ranges::any_of(plan.shared_tmpfs, &guestcomm::SharedTmpfs::is_kept))
    change_record([&](VmRecord& record) { note_tmpfs(record, plan); });
  return pinned;
}

PinnedBinds Membership::add_files(const std::filesystem::path& rootfs, const GuestPlan& plan) {
  if (new_vm_) return new_vm_->directory().add_container(container_, rootfs, plan);
  const OpenFiles files = open_files(rootfs, plan);  // without the lock, for which others wait
  const std::optional<DirectoryLock> lock = lock_vm(vm_id_);
  if (!lock) throw vm_gone(vm_id_);
  return VmDirectory(vm_id_).add_container(container_, files);
}

void Membership::enter(const ProcessIdentity& shim, HostCgroup& cgroup) {
  change_record([&](VmRecord& record) { note_shim(record, container_, shim); });
  if (!new_vm_) return;
  new_vm_->start(connect_);
  new_vm_->adopt(shim, cgroup);
}

void Membership::await_agent(std::chrono::seconds patience) {
  if (new_vm_) new_vm_->await_agent(patience);
}

void Membership::grow_vm(const VmSizeBounds& bounds) {
  if (new_vm_) return;
  grown_ = bounds;
  fit_vm(vm_id_, bounds, Fit::grow, connect_);
}

void Membership::complete_size(guestcomm::AgentClient& agent) {
  if (new_vm_) new_vm_->complete_size(agent);
}

void Membership::limit_new_vm() {
  if (new_vm_) new_vm_->change_record(limit_vm);
}

VmHandle Membership::vm() const { return new_vm_ ? new_vm_->handle() : VmHandle::open(vm_id_); }

guestcomm::AgentClient Membership::connect() {
  if (new_vm_)
    if (auto agent = new_vm_->take_agent()) return std::move(*agent);
  return vm().connect(VmHandle::connect_patience);
}

Error Membership::explain(const Error& error) const {
  const bool is_lost = error.code() == Errc::peer_lost || error.code() == Errc::timed_out;
  return new_vm_ && is_lost ? new_vm_->explain(error) : error;
}

void Membership::keep() noexcept {
  leave_ = false;
  if (new_vm_) new_vm_->keep();
}

}  // namespace husk::runtime
