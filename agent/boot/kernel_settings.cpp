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
/// The key in config.toml.
const std::string refused = "vm.sysctl: ";

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

void raise(const std::filesystem::path& file, const std::string& wanted) {
  const std::string own = read_file(file, max_parameter_bytes);
  const std::string larger = larger_numbers(own, wanted);
  if (larger != own) write_existing(file, larger);
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

std::optional<std::string> apply_kernel_settings(const guestcomm::KernelSettings& settings,
                                                 const std::filesystem::path& proc_sys) {
  for (const auto& [path, value] : settings.at_least) {
    if (!std::filesystem::exists(proc_sys / path)) continue;
    try {
      raise(proc_sys / path, value);
    } catch (const Error& error) {
      log(LogLevel::warning, "sysctl " + path + ": " + error.what());
    }
  }
  for (const auto& [path, value] : settings.exact) {
    if (!std::filesystem::exists(proc_sys / path))
      return refused + path + ": the guest's kernel has no such parameter";
    try {
      write_existing(proc_sys / path, value);
    } catch (const Error& error) {
      return refused + path + ": " + error.what();
    }
  }
  return {};
}

guestcomm::KernelSettings load_kernel_settings(const std::filesystem::path& file) {
  if (!std::filesystem::exists(file)) return {};
  return guestcomm::parse_kernel_settings(read_file(file, guestcomm::max_kernel_settings_bytes));
}

}  // namespace husk::agent
