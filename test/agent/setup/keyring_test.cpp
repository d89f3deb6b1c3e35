// SPDX-License-Identifier: Apache-2.0
#include "agent/setup/keyring.hpp"

#include <linux/keyctl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <filesystem>
#include <string>

#include "lib/base/descriptors.hpp"
#include "lib/base/error.hpp"
#include "lib/base/files.hpp"

namespace husk::agent {
namespace {

constexpr int failed = 2;

long keyctl(int command, long a = 0, long b = 0, long c = 0) {
  return ::syscall(SYS_keyctl, command, a, b, c);
}

long session() { return keyctl(KEYCTL_GET_KEYRING_ID, KEY_SPEC_SESSION_KEYRING, 0); }

/// The exit status of a process that runs `work`. The test's own session keyring stays.
template <typename F>
int in_child(const F& work) {
  const pid_t child = ::fork();
  if (child == 0) {
    try {
      ::_exit(work());
    } catch (...) {
      ::_exit(failed);
    }
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

bool has_keys() {
  return in_child([] { return session() < 0 && errno == ENOSYS ? 1 : 0; }) == 0;
}

#define SKIP_WITHOUT_KEYS() \
  if (!has_keys()) SKIP("this kernel has no keys")

/// A process that has joined a keyring, with a key in it, until this object ends.
class Session {
 public:
  explicit Session(const std::string& name) {
    const Pipe pipe = make_pipe();
    child_ = ::fork();
    if (child_ == 0) hold(name, pipe.write_end.get());
    if (::read(pipe.read_end.get(), &keyring_, sizeof keyring_) != sizeof keyring_) keyring_ = -1;
  }
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;
  ~Session() {
    ::kill(child_, SIGKILL);
    ::waitpid(child_, nullptr, 0);
  }
  long keyring() const { return keyring_; }

 private:
  [[noreturn]] static void hold(const std::string& name, int told) noexcept {
    try {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      join_session_keyring(name);
      if (::syscall(SYS_add_key, "user", "password", "1234", 4, KEY_SPEC_SESSION_KEYRING) < 0)
        ::_exit(1);
      const long keyring = session();
      if (::write(told, &keyring, sizeof keyring) != sizeof keyring) ::_exit(1);
      for (;;) ::pause();
    } catch (...) {
      ::_exit(1);
    }
  }

  pid_t child_ = -1;
  long keyring_ = -1;
};

TEST_CASE("session keyring: whoever knows the name joins it and reads its keys") {
  SKIP_WITHOUT_KEYS();
  const std::string name = make_keyring_name(std::string(1024, 'x'));
  const Session first(name);
  REQUIRE(first.keyring() > 0);
  CHECK(in_child([&] {
          join_session_keyring(name);
          if (session() != first.keyring()) return 3;
          const long key =
              ::syscall(SYS_request_key, "user", "password", nullptr, KEY_SPEC_SESSION_KEYRING);
          std::string value(4, ' ');
          if (keyctl(KEYCTL_READ, key, reinterpret_cast<long>(value.data()), 4) != 4) return 4;
          return value == "1234" ? 0 : 5;
        }) == 0);
}

TEST_CASE(
    "session keyring: another container of the user's cannot join it, of the same id neither") {
  SKIP_WITHOUT_KEYS();
  const Session first(make_keyring_name("one"));
  REQUIRE(first.keyring() > 0);
  std::string name;
  SECTION("another id") { name = make_keyring_name("two"); }
  SECTION("the same id") { name = make_keyring_name("one"); }
  SECTION("runc's name") { name = "_ses.one"; }
  CHECK(in_child([&] {
          join_session_keyring(name);
          if (session() == first.keyring()) return 3;
          const long key =
              ::syscall(SYS_request_key, "user", "password", nullptr, KEY_SPEC_SESSION_KEYRING);
          return key < 0 ? 0 : 4;
        }) == 0);
}

TEST_CASE("session keyring: another container of the user's can do nothing with its number") {
  SKIP_WITHOUT_KEYS();
  // An id of this test's own: /proc/keys shows a keyring of a test that runs at the same time, until
  // that keyring's permissions are set.
  const Session first(make_keyring_name("number"));
  REQUIRE(first.keyring() > 0);
  CHECK(in_child([&] {
          join_session_keyring(make_keyring_name("two"));
          std::string text(2048, '\0');
          const auto to = reinterpret_cast<long>(text.data());
          const auto length = static_cast<long>(text.size());
          const auto refused = [](long result) { return result < 0 && errno == EACCES; };
          const long keyring = first.keyring();
          if (!refused(keyctl(KEYCTL_DESCRIBE, keyring, to, length))) return 3;
          if (!refused(keyctl(KEYCTL_READ, keyring, to, length))) return 4;
          if (!refused(keyctl(KEYCTL_LINK, keyring, KEY_SPEC_SESSION_KEYRING))) return 5;
          if (!refused(keyctl(KEYCTL_CLEAR, keyring))) return 6;
          if (!refused(keyctl(KEYCTL_SETPERM, keyring, 0x3f3f0000))) return 7;
          const std::string type = "user", description = "password";
          if (!refused(keyctl(KEYCTL_SEARCH, keyring, reinterpret_cast<long>(type.c_str()),
                              reinterpret_cast<long>(description.c_str()))))
            return 8;
          const std::string seen = read_file("/proc/keys", 1u << 20);
          return seen.find("_ses.number") == std::string::npos ? 0 : 9;
        }) == 0);
}

TEST_CASE("session keyring: what a container's process permits stays when another joins") {
  SKIP_WITHOUT_KEYS();
  constexpr long with_owners_view = 0x3f090000;
  CHECK(in_child([&] {
          const std::string name = make_keyring_name("one");
          join_session_keyring(name);
          if (keyctl(KEYCTL_SETPERM, session(), with_owners_view) != 0) return 3;
          const int joined = in_child([&] {
            keyctl(
                KEYCTL_JOIN_SESSION_KEYRING);  // an anonymous one, as the agent's child has another
            join_session_keyring(name);
            return 0;
          });
          std::string text(2048, '\0');
          keyctl(KEYCTL_DESCRIBE, session(), reinterpret_cast<long>(text.data()),
                 static_cast<long>(text.size()));
          return joined == 0 && text.find(";3f090000;") != std::string::npos ? 0 : 4;
        }) == 0);
}

}  // namespace
}  // namespace husk::agent
