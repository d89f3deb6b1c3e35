// SPDX-License-Identifier: Apache-2.0
#include "lib/runtime/host/guest_kernel.hpp"

#include <charconv>
#include <tuple>

namespace husk::runtime {
namespace {

/// Reads a number, and takes it and the character after it away. 0: there is none.
unsigned take_number(std::string_view& text) {
  unsigned number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc()) return 0;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  if (!text.empty()) text.remove_prefix(1);
  return number;
}

}  // namespace

std::string find_kernel_release(const std::filesystem::path& modules) {
  std::string release;
  std::error_code error;
  for (std::filesystem::directory_iterator entry(modules, error), end; !error && entry != end;
       entry.increment(error)) {
    if (!entry->is_directory(error)) continue;
    if (!release.empty()) return {};  // of several kernels
    release = entry->path().filename().string();
  }
  return release;
}

bool is_own_kernel(std::string_view release) { return release.ends_with("-husk"); }

bool is_kernel_since(std::string_view release, unsigned major, unsigned minor) {
  const unsigned own_major = take_number(release);
  const unsigned own_minor = take_number(release);
  return std::tuple(own_major, own_minor) >= std::tuple(major, minor);
}

}  // namespace husk::runtime
