// SPDX-License-Identifier: Apache-2.0
#include "lib/systemd/scope_name.hpp"

#include "lib/base/error.hpp"
#include "lib/base/text.hpp"

namespace husk::systemd {

void check_scope_name(const std::string& name) {
  if (name.ends_with(".scope") || name.ends_with(".slice")) return;
  throw Error(Errc::invalid_argument, "unit " + quote(name) + ": is neither a scope nor a slice");
}

}  // namespace husk::systemd
