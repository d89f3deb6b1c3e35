// SPDX-License-Identifier: Apache-2.0
#include "agent/request/secret.hpp"

#include "lib/base/error.hpp"
#include "lib/base/files.hpp"

namespace husk::agent {

bool is_hex(std::string_view text) noexcept {
  return text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

Secret::Secret(std::string text) : text_(std::move(text)) {
  if (text_.size() != digits || !is_hex(text_)) {
    throw Error(Errc::invalid_argument, "the VM's secret is not 32 hex digits");
  }
}

bool Secret::matches(std::string_view said) const noexcept {
  if (said.size() != text_.size()) return false;
  // volatile: the compiler must not make an early exit of it.
  volatile unsigned char difference = 0;
  for (std::size_t i = 0; i < text_.size(); ++i) {
    difference = static_cast<unsigned char>(difference | (said[i] ^ text_[i]));
  }
  return difference == 0;
}

Secret load_secret(const std::filesystem::path& path) {
  std::string text = read_file(path, Secret::digits + 1);
  if (text.ends_with('\n')) text.pop_back();
  return Secret(std::move(text));
}

}  // namespace husk::agent
