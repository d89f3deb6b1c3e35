// SPDX-License-Identifier: Apache-2.0
#include "agent/setup/keyring.hpp"

#include <linux/keyctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstdint>
#include <string_view>

#include "lib/base/error.hpp"

namespace husk::agent {
namespace {

/// KEY_USR_SEARCH of the kernel's linux/key.h: the owner's other processes find the keyring by name.
constexpr std::uint32_t owner_may_search = 0x00080000;

/// KEYCTL_DESCRIBE answers "type;uid;gid;permissions;name", the permissions in hexadecimal.
std::uint32_t read_permissions(long keyring) {
  std::array<char, 512> text{};
  check_sys(::syscall(SYS_keyctl, KEYCTL_DESCRIBE, keyring, text.data(), text.size() - 1),
            "describe the session keyring");
  std::string_view rest = text.data();
  for (int field = 0; field < 3; ++field) {
    const std::size_t end = rest.find(';');
    if (end == std::string_view::npos) break;
    rest.remove_prefix(end + 1);
  }
  std::uint32_t permissions = 0;
  const auto [end, error] =
      std::from_chars(rest.data(), rest.data() + rest.size(), permissions, 16);
  if (error != std::errc{} || *end != ';')
    throw Error(Errc::system, "describe the session keyring: unknown form");
  return permissions;
}

/// Without this, exec's processes would each make a keyring of the same name.
void let_owner_find(long keyring) {
  const std::uint32_t permissions = read_permissions(keyring);
  if ((permissions & owner_may_search) != 0) return;
  check_sys(::syscall(SYS_keyctl, KEYCTL_SETPERM, keyring, permissions | owner_may_search),
            "set the session keyring's permissions");
}

}  // namespace

void join_session_keyring(const std::string& container_id) {
  step("unable to join session keyring", [&] {
    const std::string name = "_ses." + container_id;
    const long keyring = ::syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, name.c_str());
    if (keyring < 0 && errno == ENOSYS) return;
    let_owner_find(check_sys(keyring, "unable to create session key"));
  });
}

}  // namespace husk::agent
