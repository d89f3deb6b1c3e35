// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <exception>
#include <string>

#include "lib/base/text.hpp"

namespace husk::check {

/// The error of `look` as one line of text; empty: there was none.
template <typename Look>
std::string error_of(Look&& look) {
  try {
    look();
    return {};
  } catch (const std::exception& error) {
    return one_line(error.what());
  }
}

}  // namespace husk::check
