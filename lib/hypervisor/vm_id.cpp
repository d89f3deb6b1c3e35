// SPDX-License-Identifier: Apache-2.0
#include "lib/hypervisor/vm_id.hpp"

#include <algorithm>
#include <string>

#include "lib/base/error.hpp"
#include "lib/base/text.hpp"

namespace husk::hypervisor {
namespace {

constexpr std::size_t id_digits = 8;

}  // namespace

bool is_vm_id(std::string_view text) {
  return text.size() == id_digits && std::ranges::all_of(text, [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
         });
}

void check_vm_id(std::string_view text) {
  if (is_vm_id(text)) return;
  throw Error(Errc::invalid_argument,
              "VM id " + quote(std::string(text)) + ": is not 8 hexadecimal digits");
}

}  // namespace husk::hypervisor
