// SPDX-License-Identifier: Apache-2.0
#include "lib/runtime/plan/bind_options.hpp"

namespace husk::runtime {
namespace {

/// Reads the propagation: in a VM "shared" has one direction, from the host to the guest. Empty: none is given.
std::optional<bool> follows_host(const std::string& option) {
  if (option == "slave" || option == "rslave" || option == "shared" || option == "rshared")
    return true;
  if (option == "private" || option == "rprivate" || option == "unbindable" ||
      option == "runbindable")
    return false;
  return std::nullopt;
}

}  // namespace

PinnedMount plan_bind(std::size_t number, const std::filesystem::path& source,
                      const std::vector<std::string>& options) {
  PinnedMount bind{.number = number, .source = source, .tree_read_only = {}};
  for (const std::string& option : options) {
    if (option == "rbind") bind.recursive = true;
    if (option == "ro" || option == "rw") bind.read_only = option == "ro";
    if (option == "rro" || option == "rrw") bind.tree_read_only = option == "rro";
    bind.follow_host = follows_host(option).value_or(bind.follow_host);
  }
  return bind;
}

}  // namespace husk::runtime
