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
#include "lib/base/random_id.hpp"

namespace husk::agent {
namespace {

/// KEY_POS_ALL and KEY_USR_SEARCH of the kernel's linux/key.h. The owner's other processes find the
/// keyring by name (the kernel's find_keyring_by_name asks for this bit alone); in contrast to the
/// kernel's own choice they can neither view, read nor link it by its number.
constexpr std::uint32_t possessor_may_all = 0x3f000000, owner_may_search = 0x00080000;

/// KEYCTL_DESCRIBE answers "type;uid;gid;permissions;name", the permissions in hexadecimal.
std::uint32_t read_permissions(long keyring) {
  std::array<char, 2048> text{};  // the kernel writes nothing if the name, with an id, is longer
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
    throw Error(Errc::system, "describe the session keyring: unexpected format");
  return permissions;
}

/// A joined keyring stays as the container's processes have set it: it could be found. One that
/// is new has the kernel's permissions, without the owner's search.
void restrict_new(long keyring) {
  if ((read_permissions(keyring) & owner_may_search) != 0) return;
  check_sys(::syscall(SYS_keyctl, KEYCTL_SETPERM, keyring, possessor_may_all | owner_may_search),
            "set the session keyring's permissions");
}

}  // namespace

// Containers of one VM have their user in common, and mostly the user namespace, in which names of
// keyrings are looked up: an id is no secret from the others.
std::string make_keyring_name(const std::string& container_id) {
  return "_ses." + container_id + "." + random_hex(16);
}

void join_session_keyring(const std::string& name) {
  step("unable to join session keyring", [&] {
    const long keyring = ::syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, name.c_str());
    if (keyring < 0 && errno == ENOSYS) return;
    restrict_new(check_sys(keyring, "unable to create session key"));
  });
}

}  // namespace husk::agent
