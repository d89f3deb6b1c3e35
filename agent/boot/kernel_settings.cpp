// SPDX-License-Identifier: Apache-2.0
#include "agent/boot/kernel_settings.hpp"

#include <algorithm>
#include <cstdint>
#include <sstream>
#include <vector>

#include "lib/base/error.hpp"
#include "lib/base/files.hpp"
#include "lib/base/log.hpp"
#include "lib/base/parse_number.hpp"

namespace husk::agent {
namespace {

constexpr std::size_t max_parameter_bytes = 4096;

/// Empty, if one is no number.
std::vector<std::uint64_t> parse_numbers(const std::string& text) {
  std::istringstream words(text);
  std::vector<std::uint64_t> numbers;
  for (std::string word; words >> word;) {
    const auto number = parse_number<std::uint64_t>(word);
    if (!number) return {};
    numbers.push_back(*number);
  }
  return numbers;
}

/// Whether the parameter had to be changed.
bool raise(const std::filesystem::path& file, const std::string& wanted) {
  const std::string own = read_file(file, max_parameter_bytes);
  const std::string larger = larger_numbers(own, wanted);
  if (larger == own) return false;
  write_existing(file, larger);
  return true;
}

/// As sysctl(8) and config.toml have the name.
std::string dotted(std::string path) {
  for (char& letter : path)
    if (letter == '/' || letter == '.') letter = letter == '/' ? '.' : '/';
  return path;
}

std::string refusal_of(const std::string& path, const std::string& why) {
  return "vm.sysctl: " + dotted(path) + ": " + why;
}

}  // namespace

std::string larger_numbers(const std::string& own, const std::string& wanted) {
  const std::vector<std::uint64_t> owns = parse_numbers(own), wants = parse_numbers(wanted);
  if (owns.empty() || owns.size() != wants.size()) return own;
  std::string larger;
  bool is_raised = false;
  for (std::size_t i = 0; i < owns.size(); ++i) {
    is_raised = is_raised || wants[i] > owns[i];
    larger += (i == 0 ? "" : " ") + std::to_string(std::max(owns[i], wants[i]));
  }
  return is_raised ? larger : own;
}

AppliedSettings apply_kernel_settings(const guestcomm::KernelSettings& settings,
                                      const std::filesystem::path& proc_sys) {
  AppliedSettings applied;
  for (const auto& [path, value] : settings.at_least) {
    if (!std::filesystem::exists(proc_sys / path)) continue;
    warn_on_failure([&] {
      if (raise(proc_sys / path, value)) applied.changed.insert(path);
    });
  }
  for (const auto& [path, value] : settings.exact) {
    try {
      if (!std::filesystem::exists(proc_sys / path))
        throw Error(Errc::not_found,
                    "the guest's kernel has no such parameter, or not before a module is loaded");
      write_existing(proc_sys / path, value);
      applied.changed.insert(path);
    } catch (const Error& error) {
      applied.refusal = refusal_of(path, error.what());
      return applied;
    }
  }
  return applied;
}

guestcomm::KernelSettings load_kernel_settings(const std::filesystem::path& file) {
  if (!std::filesystem::exists(file)) return {};
  return guestcomm::parse_kernel_settings(read_file(file, guestcomm::max_kernel_settings_bytes));
}

}  // namespace husk::agent
