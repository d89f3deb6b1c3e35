// SPDX-License-Identifier: Apache-2.0
#include "lib/runtime/host/open_files.hpp"

#include <algorithm>
#include <sstream>
#include <string>

#include "lib/base/files.hpp"

namespace husk::runtime {
namespace {

constexpr std::uint64_t least = 65536, most = 1000000, share = 8;

}  // namespace

std::uint64_t open_files_limit(std::uint64_t file_max) {
  return std::clamp(file_max / share, least, most);
}

std::uint64_t open_files_limit() {
  std::uint64_t number = 0;
  std::istringstream(read_file("/proc/sys/fs/file-max", 64)) >> number;
  return open_files_limit(number);
}

}  // namespace husk::runtime
