// SPDX-License-Identifier: Apache-2.0
#include "lib/runtime/vm/share_socket.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "lib/base/error.hpp"
#include "lib/base/text.hpp"
#include "lib/base/unix_address.hpp"

namespace husk::runtime {
namespace {

constexpr std::size_t log_bytes = 64U << 10, shown_bytes = 500;

}  // namespace

UniqueFd listen_for_hypervisor(const std::filesystem::path& path, unsigned uid) {
  return step("socket " + path.string(), [&] {
    UniqueFd socket(check_sys(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), "make"));
    const sockaddr_un name = unix_address(path);
    check_sys(::bind(socket.get(), reinterpret_cast<const sockaddr*>(&name), sizeof name), "bind");
    // Before listen(2), and so before anybody can connect.
    check_sys(::chmod(path.c_str(), S_IRUSR | S_IWUSR), "chmod");
    check_sys(::lchown(path.c_str(), uid, static_cast<gid_t>(-1)), "chown");
    check_sys(::listen(socket.get(), 1), "listen");
    return socket;
  });
}

UniqueFd make_bounded_log() {
  return step("log of virtiofsd", [&] {
    UniqueFd log(
        check_sys(::memfd_create("husk-virtiofsd-log", MFD_CLOEXEC | MFD_ALLOW_SEALING), "make"));
    check_sys(::ftruncate(log.get(), log_bytes), "size");
    check_sys(::fcntl(log.get(), F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL), "seal");
    return log;
  });
}

std::string beginning_of_log(int log) {
  std::string text(shown_bytes, '\0');
  const ssize_t count = ::pread(log, text.data(), text.size(), 0);
  text.resize(static_cast<std::size_t>(std::max<ssize_t>(count, 0)));
  text.resize(std::min(text.size(), text.find('\0')));
  return one_plain_line(text);
}

}  // namespace husk::runtime
