// SPDX-License-Identifier: Apache-2.0
#include "lib/guestcomm/link/guest_words.hpp"

#include <algorithm>
#include <array>
#include <string_view>

#include "lib/base/log.hpp"
#include "lib/guestcomm/protocol/container_messages.hpp"
#include "lib/guestcomm/protocol/create_messages.hpp"
#include "lib/guestcomm/protocol/network.hpp"
#include "lib/guestcomm/protocol/process_messages.hpp"
#include "lib/guestcomm/protocol/vm_messages.hpp"

namespace husk::guestcomm {
namespace {

/// Their errors name the image's program, a mount of the bundle, or a field of the limits: engines map
/// some to exit statuses 126 and 127, people look for the others.
constexpr std::array<std::string_view, 6> telling_methods{
    Hello::method,         ConfigureNetwork::method, CreateContainer::method,
    CreateProcess::method, StartProcess::method,     UpdateContainer::method};

/// Parts of the texts by which containerd, CRI-O and Podman know a state (caller-contract.md). containerd
/// ignores case.
constexpr std::array<std::string_view, 10> state_phrases{
    "no such process",  "process already finished",
    "not running",      "still running",
    "does not exist",   "invalid process",
    "already exists",   "not stopped",
    "container paused", "not paused"};

std::string lower_case(std::string text) {
  for (char& c : text)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return text;
}

bool tells_state(const std::string& text) {
  const std::string lower = lower_case(text);
  return std::ranges::any_of(state_phrases, [&](std::string_view phrase) {
    return lower.find(phrase) != std::string::npos;
  });
}

/// No engine looks for these.
std::string_view kind_of(Errc code) {
  switch (code) {
    case Errc::internal:
      return "an internal error";
    case Errc::invalid_argument:
      return "an invalid argument";
    case Errc::not_found:
      return "an unknown name";
    case Errc::already_exists:
      return "a name in use";
    case Errc::wrong_state:
      return "a wrong state";
    case Errc::unsupported:
      return "an unsupported request";
    case Errc::timed_out:
      return "a time-out";
    case Errc::system:
      return "a system error";
    case Errc::peer_lost:
      return "a lost connection";
  }
  return "an error";
}

}  // namespace

std::string without_state(const std::string& text) {
  if (!tells_state(text)) return text;
  log(LogLevel::debug, "the guest's error text: " + text);
  return "the guest reported a state that the host cannot confirm (see the debug log)";
}

Error refusal(const std::string& method, const Error& answer) {
  if (std::ranges::find(telling_methods, method) != telling_methods.end())
    return {answer.code(), without_state(answer.what()), answer.sys_errno()};
  log(LogLevel::debug, "the guest's answer to " + method + ": " + answer.what());
  return {answer.code(),
          "the agent answered " + method + " with " + std::string(kind_of(answer.code())) +
              " (its text is in the debug log)",
          answer.sys_errno()};
}

}  // namespace husk::guestcomm
