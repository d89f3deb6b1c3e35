// SPDX-License-Identifier: Apache-2.0
// virtiofsd as a child process: the server of a VM's share.
#pragma once

#include <sys/types.h>

#include "lib/base/unique_fd.hpp"
#include "lib/handoff/file_server.hpp"

namespace husk::keeper {

/// Waits until the hypervisor connects to `socket`, then becomes virtiofsd, which ends when the hypervisor closes the
/// connection. So nothing is left whoever is killed: a waiting child ends with the keeper, a serving one with the VM.
/// Runs as root in a session of its own, with the capabilities that virtiofsd needs and no descriptor of ours but
/// `socket` and `log`. Killed and reaped on destruction.
class FileServer {
 public:
  /// Both descriptors stay the caller's. Throws system.
  FileServer(const handoff::FileServerSetup& setup, int socket, int log);
  FileServer(const FileServer&) = delete;
  FileServer& operator=(const FileServer&) = delete;
  ~FileServer();
  int pidfd() const { return pidfd_.get(); }

 private:
  pid_t pid_ = -1;
  UniqueFd pidfd_;
};

}  // namespace husk::keeper
