// SPDX-License-Identifier: Apache-2.0
#include "lib/hypervisor/vm_files.hpp"

#include <filesystem>
#include <string_view>

namespace husk::hypervisor {
namespace {

namespace fs = std::filesystem;

/// Takes a number off the front; false if there is none.
bool take_number(std::string_view& text) {
  const std::size_t length = std::min(text.find_first_not_of("0123456789"), text.size());
  text.remove_prefix(length);
  return length > 0;
}

bool take(std::string_view& text, std::string_view part) {
  if (!text.starts_with(part)) return false;
  text.remove_prefix(part.size());
  return true;
}

}  // namespace

bool is_log_file(const std::string& file, const std::string& vm) {
  std::string_view rest = file;
  if (!take(rest, vm)) return false;
  if (take(rest, ".log"))
    return rest.empty() || (take(rest, ".") && take_number(rest) && rest.empty());
  return take(rest, "-fs") && take_number(rest) && rest == "-virtiofsd.log";
}

}  // namespace husk::hypervisor
