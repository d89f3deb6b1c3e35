// SPDX-License-Identifier: Apache-2.0
// husk-keeper VM_ID: stays with one VM (keep.hpp). husk or systemd starts it, with its socket as standard
// input; the argument is for ps(1) alone.
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdio>

#include "keeper/husk_commands.hpp"
#include "keeper/keep.hpp"

namespace {

/// Moves the socket away from the standard streams, which the keeper gives up; -1: not started by husk.
int take_socket() {
  int type = 0;
  socklen_t size = sizeof type;
  if (::getsockopt(STDIN_FILENO, SOL_SOCKET, SO_TYPE, &type, &size) != 0 || type != SOCK_SEQPACKET)
    return -1;
  return ::fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
}

}  // namespace

int main() {
  const int socket = take_socket();
  if (socket < 0) {
    std::fputs("husk-keeper: only husk may run this program\n", stderr);
    return 1;
  }
  husk::keeper::run(socket, husk::keeper::call_husk);
}
