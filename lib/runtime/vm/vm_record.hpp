// SPDX-License-Identifier: Apache-2.0
// The record of a VM between calls: /run/husk-vm/<vm id>/vm.json, for root only. Written
// before libvirt is asked for the VM, and again whenever more is known of it. It is changed under
// the lock of the VM's directory; reading needs none.
#pragma once

#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "lib/base/process.hpp"
#include "lib/guestcomm/link/guest_address.hpp"
#include "lib/hypervisor/vm.hpp"
#include "lib/runtime/host/limit_cgroup.hpp"
#include "lib/runtime/plan/pod.hpp"
#include "lib/runtime/plan/vm_size.hpp"

namespace husk::runtime {

/// A container in the VM.
struct VmMember {
  std::string id;
  std::optional<ProcessIdentity> shim = {};  ///< known once create has made it
  std::optional<Demand> demand = {};         ///< Sizing::demand
  bool operator==(const VmMember&) const = default;
};

struct VmRecord {
  static constexpr int current_version = 2;

  std::string id;    ///< names its directory, see vm_directory.hpp
  std::string name;  ///< libvirt domain
  std::string uri;   ///< of the libvirt that has it; tells the driver
  std::string secret;
  std::vector<VmMember> members;                 ///< in the order of their coming
  unsigned network_cards = 0;                    ///< network_card(id, 0) and so on
  std::optional<std::string> network_namespace;  ///< its path, if a caller made it
  std::optional<VmPod> pod = {};
  /// The directories, parents first, of a cgroup that is the VM's and no container's, which husk has made.
  std::vector<std::filesystem::path> cgroups = {};
  std::optional<hypervisor::VmShape> shape = {};  ///< now; empty in records of an older husk
  Demand pod_demand = {};                         ///< Sizing::pod
  VmSize fixed_size = {};                         ///< Sizing::fixed
  hypervisor::Accelerator accelerator = hypervisor::Accelerator::tcg;
  CgroupLimits limits = {};  ///< now, of the cgroup that the hypervisor is in
  /// The host's tmpfs mounts (guestcomm::SharedTmpfs::name) in whose place the guest has one until the VM ends.
  std::vector<std::string> guest_tmpfs = {};
  // Known once it runs.
  std::optional<ProcessIdentity> process;  ///< the hypervisor's
  std::vector<ProcessIdentity> helpers;    ///< virtiofsd
  std::optional<guestcomm::GuestAddress> address;
};

/// The part of a record that clean-up needs. Its fields keep their names and meaning in every
/// version of the record.
struct VmLeftOvers {
  std::string name, uri;
  std::optional<std::string> network_namespace;
  std::optional<ProcessIdentity> process;
  std::vector<ProcessIdentity> helpers;
  std::optional<VmPod> pod;
  std::vector<std::filesystem::path> cgroups;
  std::optional<std::vector<VmMember>> members;  ///< empty: not one of them is known for sure
};
/// Whatever version it is: what is missing or not of the right type stays empty.
VmLeftOvers read_vm_left_overs(const nlohmann::json& object);

void to_json(nlohmann::json& json, const VmRecord& record);
/// Throws unsupported for another version, invalid_argument for a damaged file.
void from_json(const nlohmann::json& json, VmRecord& record);

/// The shims that run, of those members.
std::vector<ProcessIdentity> live_shims(const std::vector<VmMember>& members);
/// The shims of its members that run.
std::vector<ProcessIdentity> live_shims(const VmRecord& record);

/// The id of every VM on this host that has a directory.
std::vector<std::string> vm_ids();

/// Throws not_found when the VM's directory or its record is gone, else as from_json.
VmRecord load_vm(const std::string& vm_id);
/// The fields that can be read from a record that is missing, damaged, or of another version.
VmLeftOvers load_vm_left_overs(const std::string& vm_id);
/// Atomically, into the VM's directory.
void save_vm(const VmRecord& record);
/// Takes the container out of the members of a record of any version, and leaves all else in it as it
/// is. For a record whose members are known (VmLeftOvers). Throws as save_vm and load_vm.
void strike_off_member(const std::string& vm_id, const std::string& container);

}  // namespace husk::runtime
