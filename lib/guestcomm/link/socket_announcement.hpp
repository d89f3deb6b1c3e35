// SPDX-License-Identifier: Apache-2.0
// The waiting for an announcement on a listening socket, whatever its family. Private to this directory.
#pragma once

#include "lib/base/unique_fd.hpp"
#include "lib/guestcomm/link/announcement.hpp"

namespace husk::guestcomm {

class SocketAnnouncement : public Announcement {
 public:
  /// `listener`: non-blocking, listening by the time of wait().
  explicit SocketAnnouncement(UniqueFd listener) : listener_(std::move(listener)) {}
  ProtocolRange wait(const GuestAddress& address, int vm_gone_fd,
                     std::chrono::milliseconds patience) override;

 private:
  /// Empty if the connection is not from that guest, or went before it was accepted.
  virtual UniqueFd accept_from(const GuestAddress& address) = 0;

 protected:
  UniqueFd listener_;
};

}  // namespace husk::guestcomm
