// SPDX-License-Identifier: Apache-2.0
// The one exception type of husk, and how context is added to it.
#pragma once

#include <cctype>
#include <cerrno>
#include <concepts>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

namespace husk {

/// The kind of failure. Travels to the guest and back: append, never renumber.
enum class Errc {
  internal = 1,
  invalid_argument,
  not_found,
  already_exists,
  wrong_state,
  unsupported,
  timed_out,
  system,
  peer_lost
};

/// Thrown by every library of husk. The text is lower case, has no full stop, and names the path,
/// id or field concerned; whoever catches it prints it once.
class Error : public std::runtime_error {
 public:
  Error(Errc code, const std::string& what, int sys_errno = 0)
      : std::runtime_error(what), code_(code), sys_errno_(sys_errno) {}
  Errc code() const noexcept { return code_; }
  int sys_errno() const noexcept { return sys_errno_; }  ///< errno value, 0 if none
  /// The same error with `doing` in front of its text.
  Error within(std::string_view doing) const {
    return {code_, std::string(doing) + ": " + what(), sys_errno_};
  }

 private:
  Errc code_;
  int sys_errno_;
};

/// strerror's text as runc, a Go program, spells it: no capital. Callers look for these texts.
inline std::string errno_text(int error) {
  std::string text = std::generic_category().message(error);
  if (!text.empty()) text[0] = static_cast<char>(std::tolower(static_cast<unsigned char>(text[0])));
  return text;
}

/// Throws Errc::system with errno_text's text: "open /a/b: no such file or directory".
[[noreturn]] inline void throw_errno(const std::string& doing, int error = errno) {
  throw Error(Errc::system, doing + ": " + errno_text(error), error);
}

/// Returns `result` unless it is -1; then throws as throw_errno does.
template <std::signed_integral T>
T check_sys(T result, const char* doing) {
  if (result == T{-1}) throw_errno(doing);
  return result;
}
template <std::signed_integral T>
T check_sys(T result, const std::string& doing) {
  if (result == T{-1}) throw_errno(doing);
  return result;
}

/// Runs `f`; its failure leaves with `doing` in front: "mount /proc: operation not permitted".
template <std::invocable F>
auto step(std::string_view doing, F&& f) {
  try {
    return std::forward<F>(f)();
  } catch (const Error& e) {
    throw e.within(doing);
  }
}

}  // namespace husk
