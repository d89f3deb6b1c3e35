// SPDX-License-Identifier: Apache-2.0
#include "lib/runtime/plan/exec_process.hpp"

#include "lib/base/error.hpp"
#include "lib/base/parse_number.hpp"

namespace husk::runtime {
namespace {

std::uint32_t parse_id(std::string_view text, const std::string& whole) {
  if (const auto id = parse_number<std::uint32_t>(text)) return *id;
  throw Error(Errc::invalid_argument, "--user " + whole + ": expected UID[:GID] in numbers");
}

void set_user(oci::User& user, const std::string& text) {
  const std::size_t colon = text.find(':');
  user.uid = parse_id(std::string_view(text).substr(0, colon), text);
  if (colon != std::string::npos)
    user.gid = parse_id(std::string_view(text).substr(colon + 1), text);
}

/// Adds to every set but the inheritable one, as runc does.
void add_capabilities(oci::Capabilities& sets, const std::vector<std::string>& added) {
  for (auto* set : {&sets.bounding, &sets.effective, &sets.permitted, &sets.ambient})
    set->insert(set->end(), added.begin(), added.end());
}

}  // namespace

oci::Process plan_exec_process(oci::Process container, const ExecChanges& changes) {
  oci::Process& process = container;
  process.args = changes.args;
  process.terminal = changes.terminal;
  process.console_size.reset();
  process.env.insert(process.env.end(), changes.env.begin(), changes.env.end());
  if (changes.cwd) process.cwd = *changes.cwd;
  if (changes.user) set_user(process.user, *changes.user);
  process.user.additional_gids.insert(process.user.additional_gids.end(),
                                      changes.additional_gids.begin(),
                                      changes.additional_gids.end());
  if (!changes.capabilities.empty()) {
    if (!process.capabilities) process.capabilities.emplace();
    add_capabilities(*process.capabilities, changes.capabilities);
  }
  if (changes.no_new_privileges) process.no_new_privileges = true;
  return process;
}

}  // namespace husk::runtime
