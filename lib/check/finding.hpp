// SPDX-License-Identifier: Apache-2.0
// What `husk check` says of one thing on the host.
#pragma once

#include <string>

namespace husk::check {

enum class Verdict {
  pass,
  warn,  ///< containers run, but slower or with less than they could have
  fail   ///< containers do not run, or fail sooner or later
};

struct Finding {
  std::string check;  ///< a word for scripts: "kvm", "virtiofsd"
  Verdict verdict = Verdict::pass;
  std::string text;      ///< one line: what was found
  std::string advice{};  ///< one line: what to do; empty with pass
};

}  // namespace husk::check
