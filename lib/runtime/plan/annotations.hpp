// SPDX-License-Identifier: Apache-2.0
// Reading annotations of a container. Pure. All functions throw invalid_argument with the annotation's name.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>

namespace husk::runtime {

using Annotations = std::map<std::string, std::string>;

[[noreturn]] void refuse_annotation(const std::string& name, const std::string& text);

/// 0 where there is none of that name.
std::int64_t read_annotation(const Annotations& annotations, const std::string& name);
/// The same within bounds, which 0 need not be in where there is none.
std::int64_t read_annotation(const Annotations& annotations, const std::string& name,
                             std::int64_t least, std::int64_t most);

/// Throws for one that begins with "io.husk." and that husk does not know, or `allowed` does not have: names that the
/// administrator lets callers use.
void check_own_annotations(const Annotations& annotations, const std::set<std::string>& allowed);

}  // namespace husk::runtime
