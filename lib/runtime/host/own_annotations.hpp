// SPDX-License-Identifier: Apache-2.0
// The annotations of a container by which its caller asks something of husk.
#pragma once

#include <algorithm>
#include <array>
#include <string_view>

namespace husk::runtime {

inline constexpr const char* memory_annotation = "io.husk.memory_mib";
inline constexpr const char* vcpus_annotation = "io.husk.vcpus";
inline constexpr const char* cache_annotation = "io.husk.files.cache";
inline constexpr const char* threads_annotation = "io.husk.files.threads";

inline constexpr std::array<std::string_view, 4> own_annotations{
    memory_annotation, vcpus_annotation, cache_annotation, threads_annotation};

inline bool is_own_annotation(std::string_view name) {
  return std::ranges::find(own_annotations, name) != own_annotations.end();
}

}  // namespace husk::runtime
