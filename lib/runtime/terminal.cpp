// SPDX-License-Identifier: Apache-2.0
#include "lib/runtime/terminal.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>

#include "lib/base/descriptors.hpp"
#include "lib/base/error.hpp"

namespace husk::runtime {
namespace {

/// A Unix socket's connection is there or refused at once, but for a full queue.
constexpr int connect_patience_s = 10;

UniqueFd connect_to(const std::filesystem::path& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.native().size() >= sizeof address.sun_path)
    throw Error(Errc::invalid_argument,
                "console socket " + path.string() + ": the path is too long");
  std::memcpy(address.sun_path, path.c_str(), path.native().size());
  UniqueFd socket{check_sys(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket")};
  const timeval patience{.tv_sec = connect_patience_s, .tv_usec = 0};
  check_sys(::setsockopt(socket.get(), SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience),
            "limit the console socket");
  check_sys(::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address),
            "connect to console socket " + path.string());
  return socket;
}

}  // namespace

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
    const UniqueFd socket = connect_to(console_socket);
    int number = 0;
    check_sys(::ioctl(master_.get(), TIOCGPTN, &number), "ask for the name");
    send_with_descriptors(socket.get(), "/dev/pts/" + std::to_string(number), {master_.get()});
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
