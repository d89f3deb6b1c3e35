// SPDX-License-Identifier: Apache-2.0
// Shared by the files that check a spec. Private to lib/oci.
#pragma once

#include <string>

#include "lib/base/error.hpp"
#include "lib/oci/json_read.hpp"
#include "lib/oci/known_names.hpp"
#include "lib/oci/spec.hpp"

namespace husk::oci {

[[noreturn]] inline void refuse(const std::string& field, const std::string& why) {
  throw Error(Errc::invalid_argument, field + ": " + why);
}
[[noreturn]] inline void refuse_unsupported(const std::string& field, const std::string& what) {
  throw Error(Errc::unsupported, field + ": " + what + " not supported");
}

inline void check_absolute(const std::string& path, const std::string& field) {
  if (path.empty() || path.front() != '/') refuse(field, quote(path) + " is not an absolute path");
}
inline void check_known(const std::string& word, Names names, const std::string& field) {
  if (!is_one_of(word, names)) refuse(field, "unknown value " + quote(word));
}
inline std::string indexed(const char* field, std::size_t index) {
  return std::string(field) + "[" + std::to_string(index) + "]";
}

void check_linux(const Spec& spec);

}  // namespace husk::oci
