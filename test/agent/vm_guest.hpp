// SPDX-License-Identifier: Apache-2.0
// A real guest for tests: QEMU with the built kernel and initrd, virtiofsd and vhost-device-vsock,
// no libvirt and no husk.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "lib/base/unique_fd.hpp"
#include "lib/guestcomm/link/announcement.hpp"
#include "lib/guestcomm/link/guest_address.hpp"
#include "lib/handoff/vm_keeper.hpp"

namespace husk::test {

/// A child process; killed and reaped with its owner.
class Child {
 public:
  explicit Child(const std::vector<std::string>& command, const std::filesystem::path& output);
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  ~Child();
  pid_t pid() const { return pid_; }
  int pidfd() const { return pidfd_.get(); }
  /// Whether it ended within the time.
  bool ends_within(std::chrono::milliseconds patience) const;

 private:
  pid_t pid_ = -1;
  UniqueFd pidfd_;
};

/// The MAC address of the guest's network card, which is connected to nothing.
inline constexpr const char* guest_card = "02:00:00:00:00:07";

class VmGuest {
 public:
  /// Returns when the agent announced itself; throws with the console's end if it does not.
  /// `more`: arguments of QEMU.
  explicit VmGuest(const std::vector<std::string>& more = {});
  VmGuest(const VmGuest&) = delete;
  VmGuest& operator=(const VmGuest&) = delete;
  ~VmGuest();

  const guestcomm::GuestAddress& address() const { return access_.address; }
  const guestcomm::GuestAccess& access() const { return access_; }
  const std::filesystem::path& share() const {
    return share_;
  }  ///< the shared directory on the host
  /// Makes <share>/<id>/rootfs with busybox in it.
  std::filesystem::path make_rootfs(const std::string& id) const;
  std::string console() const;
  bool powers_off_within(std::chrono::milliseconds patience) const;

 private:
  std::filesystem::path directory_, share_;
  std::unique_ptr<handoff::VmKeeper> vsock_;
  std::unique_ptr<guestcomm::Announcement> announcement_;
  std::unique_ptr<Child> virtiofsd_, qemu_;
  guestcomm::GuestAccess access_;
};

}  // namespace husk::test
