// SPDX-License-Identifier: Apache-2.0
#include "lib/runtime/spare_in_making.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <filesystem>
#include <vector>

#include "lib/base/cgroup_directories.hpp"
#include "lib/base/files.hpp"
#include "lib/base/log.hpp"
#include "lib/hypervisor/vm_id.hpp"
#include "lib/runtime/host/cgroup_hierarchies.hpp"
#include "lib/runtime/plan/vm_paths.hpp"
#include "lib/runtime/vm/leave_vm.hpp"
#include "lib/runtime/vm/spare.hpp"
#include "lib/systemd/scope.hpp"

namespace husk::runtime {
namespace {

namespace fs = std::filesystem;

std::vector<std::string> noted_ids() {
  std::vector<std::string> ids;
  std::error_code none;
  for (const auto& entry : fs::directory_iterator(pool_directory, none))
    if (std::string id = entry.path().filename(); hypervisor::is_vm_id(id))
      ids.push_back(std::move(id));
  return ids;
}

/// The record may not name it yet.
void remove_spare_cgroup(const std::string& vm_id) {
  const fs::path path = plan_spare_cgroup(vm_id, systemd::is_running()).path;
  for (const Hierarchy& hierarchy : find_hierarchies())
    remove_cgroups({hierarchy.mount_point / "husk", hierarchy.mount_point / path.relative_path()});
}

void end_in_making(const std::string& vm_id, const hypervisor::ConnectHypervisor& connect) {
  const VmPaths paths(vm_id);
  // Maybe a container's by now.
  if (fs::exists(paths.spare_is_ready()) || fs::exists(paths.spare_is_taken())) return;
  leave_vm(vm_id, {}, {}, connect);
  remove_spare_cgroup(vm_id);
}

}  // namespace

SpareInMaking::SpareInMaking(const std::string& vm_id) : file_(fs::path(pool_directory) / vm_id) {
  write_new_file(AT_FDCWD, file_, "", 0600);
}

SpareInMaking::~SpareInMaking() { ::unlink(file_.c_str()); }

CgroupPlan plan_spare_cgroup(const std::string& vm_id, bool has_systemd) {
  const std::string name = "spare-" + vm_id;
  if (!has_systemd) return {.path = "/husk/" + name, .scope = std::nullopt};
  return plan_cgroup("system.slice:husk:" + name, {.container = name, .vm = vm_id}, true, {});
}

void end_spares_in_making(const hypervisor::ConnectHypervisor& connect) {
  for (const std::string& vm_id : noted_ids())
    warn_on_failure([&] {
      end_in_making(vm_id, connect);
      ::unlink((fs::path(pool_directory) / vm_id).c_str());
    });
}

}  // namespace husk::runtime
