// SPDX-License-Identifier: Apache-2.0
#include "lib/runtime/caller/terminal.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "lib/base/error.hpp"
#include "lib/runtime/caller/caller_socket.hpp"

namespace husk::runtime {
void check_streams(const StreamsRequest& request, bool terminal) {
  if (terminal && request.detached && !request.console_socket) {
    throw Error(Errc::invalid_argument,
                "cannot allocate tty if husk will detach without setting console socket");
  }
  if (request.console_socket && !(terminal && request.detached)) {
    throw Error(Errc::invalid_argument,
                "cannot use console socket if husk will not detach or allocate tty");
  }
}

HostTerminal::HostTerminal(guestcomm::WindowSize size) {
  step("terminal", [&] {
    master_.reset(check_sys(::open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC), "open /dev/ptmx"));
    int locked = 0;
    check_sys(::ioctl(master_.get(), TIOCSPTLCK, &locked), "unlock");
    slave_.reset(check_sys(::ioctl(master_.get(), TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC),
                           "open the other end"));
    termios mode{};
    check_sys(::tcgetattr(slave_.get(), &mode), "read the mode");
    ::cfmakeraw(&mode);
    check_sys(::tcsetattr(slave_.get(), TCSANOW, &mode), "make raw");
    const winsize wanted{
        .ws_row = size.rows, .ws_col = size.columns, .ws_xpixel = 0, .ws_ypixel = 0};
    check_sys(::ioctl(master_.get(), TIOCSWINSZ, &wanted), "set the size");
  });
}

void HostTerminal::send_master(const std::filesystem::path& console_socket) {
  step("terminal", [&] {
    int number = 0;
    check_sys(::ioctl(master_.get(), TIOCGPTN, &number), "ask for the name");
    send_to_caller(console_socket, "console socket", "/dev/pts/" + std::to_string(number),
                   master_.get());
  });
  master_.reset();
}

guestcomm::WindowSize find_caller_window() {
  winsize size{};
  if (::ioctl(STDIN_FILENO, TIOCGWINSZ, &size) != 0) return {};
  return {size.ws_row, size.ws_col};
}

std::optional<guestcomm::WindowSize> plan_window(const oci::Process& process,
                                                 guestcomm::WindowSize caller) {
  if (!process.terminal) return std::nullopt;
  if (!process.console_size) return caller;
  return guestcomm::WindowSize{process.console_size->height, process.console_size->width};
}

RawTerminal::RawTerminal() {
  termios mode{};
  if (::isatty(STDIN_FILENO) != 1 || ::tcgetattr(STDIN_FILENO, &mode) != 0) return;
  former_ = mode;
  ::cfmakeraw(&mode);
  check_sys(::tcsetattr(STDIN_FILENO, TCSANOW, &mode), "make the terminal raw");
}

RawTerminal::~RawTerminal() {
  if (former_) ::tcsetattr(STDIN_FILENO, TCSADRAIN, &*former_);
}

}  // namespace husk::runtime
