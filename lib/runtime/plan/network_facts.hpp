// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <filesystem>
#include <optional>
#include <string>

#include "lib/base/namespace_id.hpp"

namespace husk::runtime {

/// The facts about a namespace that the caller named, known before anything is made.
struct NetworkFacts {
  std::filesystem::path path;
  NamespaceId id = {};
  bool is_the_hosts = false;     ///< the calling command's own, or that of process 1
  std::string vm;                ///< id of the VM that its containers run in; empty: none
  std::string tap;               ///< of a VM, if one is in it; else empty
  std::size_t cards_needed = 0;  ///< for what is in it now
};

/// Throws unsupported for one that neither a new VM nor one that is in it can give a container: the
/// host's, or that of another container which has no VM.
void check_network(const NetworkFacts& facts);

/// How many cards the VM has from the start. One where the caller wires a new namespace later, as
/// nearly all do; that one interface needs no hot-plugging then.
unsigned plan_cards(const std::optional<NetworkFacts>& named);

}  // namespace husk::runtime
