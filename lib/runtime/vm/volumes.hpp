// SPDX-License-Identifier: Apache-2.0
// The bind sources of a VM's containers in the VM's share: shared/@volumes. virtiofsd tells files apart by device, inode
// and mount, so that a source has to be one mount for all who use the source: then the guest has one inode of each file,
// with one set of locks and pages. A volume is used as long as a link shared/<container>/mounts/<n> leads there.
// All of this is called with the VM's lock.
#pragma once

#include <cstddef>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "lib/base/mountinfo.hpp"
#include "lib/base/unique_fd.hpp"
#include "lib/runtime/host/bind_source.hpp"
#include "lib/runtime/plan/vm_paths.hpp"

namespace husk::runtime {

/// The source of a bind.
struct VolumeSource {
  BindSource file;       ///< restricted as the bind asks
  bool is_kept = false;  ///< PinnedMount::is_kept
  bool asked_read_only =
      false;  ///< by the bind, so that the guest makes its own mount of the source read-only
};

/// The share through a mount that only this process has: the one that virtiofsd sees is read-only
/// at all times. Throws system.
UniqueFd writable_share(const VmPaths& paths);

/// Attaches `source` as a new volume, and returns its name. No name is ever given twice. Throws system.
std::string add_volume(const VmPaths& paths, int writable_share, const BindSource& source);

/// Makes the link shared/<id>/mounts/<number>, with which a container becomes a user of the volume. Throws system.
void link_volume(int writable_share, const std::string& id, std::size_t number,
                 const std::string& volume);

/// The same without a container: the volume stays until the VM ends.
void keep_volume(int writable_share, const std::string& volume);

/// Detaches the volumes that no link leads to: those of a container that was removed, those that a volume of before
/// stands in for, those of a husk that was killed. Throws system.
void remove_unused_volumes(const VmPaths& paths, int writable_share);

/// The volumes as the mount table has them now.
class VolumeTable {
 public:
  /// Throws system.
  explicit VolumeTable(const VmPaths& paths);

  /// The volume to be used in place of `name`, one of `added`: of the same file, its mount with the same options and the
  /// same mount to follow, and no mounts below. A writable volume stands in for one that the bind asks to be read-only,
  /// before a read-only one does; an older one comes before `added`. `name` itself if no other volume will do.
  std::string find_shared(const std::string& name, bool asked_read_only,
                          const std::map<std::size_t, std::string>& added) const;
  bool has_mounts_below(const std::string& name) const;
  /// The ids of the other VMs that can write to the same file; none where the volume is read-only.
  std::set<std::string> other_writers(const std::string& name) const;

 private:
  struct Volume {
    std::string name;
    bool read_only = false;
    std::string options;  ///< of the mount, but for "ro" and "rw"
    std::string master;   ///< MountEntry::master
    bool has_mounts_below = false;
  };
  void add(const std::string& path, const MountEntry& mount);
  static bool is_alike(const Volume& one, const Volume& other);
  const Volume& at(const std::string& name) const;
  std::vector<Volume> volumes_;
  std::multimap<std::string, std::string>
      others_;  ///< identities, of files that the VM of that id can write to
};

}  // namespace husk::runtime
