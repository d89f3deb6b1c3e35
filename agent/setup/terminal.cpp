// SPDX-License-Identifier: Apache-2.0
#include "agent/setup/terminal.hpp"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "agent/setup/mount_calls.hpp"
#include "lib/base/error.hpp"
#include "lib/base/files.hpp"

namespace husk::agent {
namespace {

/// The image may have put anything in its place.
UniqueFd open_master(int root_fd) {
  UniqueFd master = open_in_root(root_fd, "/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
  struct stat status {};
  check_sys(::fstat(master.get(), &status), "stat /dev/ptmx");
  if (!S_ISCHR(status.st_mode) || status.st_rdev != ::makedev(5, 2))
    throw Error(Errc::invalid_argument, "/dev/ptmx is not the kernel's pseudoterminal device");
  return master;
}

}  // namespace

UniqueFd apply_terminal(int root_fd, guestcomm::WindowSize size, uid_t uid) {
  UniqueFd master = open_master(root_fd);
  int locked = 0;
  check_sys(::ioctl(master.get(), TIOCSPTLCK, &locked), "unlock the terminal");
  // Opens the slave by its master, not by a name: anything may be mounted on /dev/pts.
  const UniqueFd slave{check_sys(::ioctl(master.get(), TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC),
                                 "open the terminal")};
  if (size.rows != 0 || size.columns != 0) set_window_size(master.get(), size);
  check_sys(::fchown(slave.get(), uid, static_cast<gid_t>(-1)), "chown the terminal");
  check_sys(::ioctl(slave.get(), TIOCSCTTY, 0), "set the controlling terminal");
  for (const int stream : {0, 1, 2}) check_sys(::dup2(slave.get(), stream), "connect the terminal");
  return master;
}

void apply_console(int root_fd) {
  const UniqueFd terminal = clone_mount(STDIN_FILENO, "", false);
  const UniqueFd dev = make_directories_in_root(root_fd, "/dev", 0755);
  const UniqueFd made{::openat(dev.get(), "console",
                               O_CREAT | O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0666)};
  const UniqueFd target{check_sys(::openat(dev.get(), "console", O_PATH | O_NOFOLLOW | O_CLOEXEC),
                                  "open /dev/console")};
  step("mount /dev/console", [&] { attach_mount(terminal.get(), target.get()); });
}

void set_window_size(int terminal, guestcomm::WindowSize size) {
  struct winsize wanted {};
  wanted.ws_row = size.rows;
  wanted.ws_col = size.columns;
  check_sys(::ioctl(terminal, TIOCSWINSZ, &wanted), "set the terminal's size");
}

}  // namespace husk::agent
