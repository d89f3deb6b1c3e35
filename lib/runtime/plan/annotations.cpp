// SPDX-License-Identifier: Apache-2.0
#include "lib/runtime/plan/annotations.hpp"

#include "lib/base/error.hpp"
#include "lib/base/parse_number.hpp"
#include "lib/base/text.hpp"
#include "lib/runtime/host/own_annotations.hpp"

namespace husk::runtime {

void refuse_annotation(const std::string& name, const std::string& text) {
  throw Error(Errc::invalid_argument, "annotations[" + quote(name) + "]: " + text);
}

std::int64_t read_annotation(const Annotations& annotations, const std::string& name) {
  const auto found = annotations.find(name);
  if (found == annotations.end()) return 0;
  const auto number = parse_number<std::int64_t>(found->second);
  if (!number) refuse_annotation(name, quote(found->second) + " is not a number");
  return *number;
}

std::int64_t read_annotation(const Annotations& annotations, const std::string& name,
                             std::int64_t least, std::int64_t most) {
  if (!annotations.contains(name)) return 0;
  const std::int64_t number = read_annotation(annotations, name);
  if (number < least || number > most)
    refuse_annotation(name,
                      "must be between " + std::to_string(least) + " and " + std::to_string(most));
  return number;
}

void check_own_annotations(const Annotations& annotations, const std::set<std::string>& allowed) {
  const std::string prefix = "io.husk.";
  for (auto one = annotations.lower_bound(prefix);
       one != annotations.end() && one->first.starts_with(prefix); ++one) {
    if (!is_own_annotation(one->first)) refuse_annotation(one->first, "is unknown");
    if (!allowed.contains(one->first))
      refuse_annotation(one->first,
                        "is not allowed by vm.allowed_annotations in the configuration");
  }
}

}  // namespace husk::runtime
