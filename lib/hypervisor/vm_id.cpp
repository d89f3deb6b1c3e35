// SPDX-License-Identifier: Apache-2.0
#include "lib/hypervisor/vm_id.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdio>

#include "lib/base/error.hpp"
#include "lib/base/random_id.hpp"
#include "lib/base/text.hpp"

namespace husk::hypervisor {
namespace {

constexpr std::size_t id_digits = 8;
constexpr unsigned first_device_uid = 0x70000000, device_uid_bits = 0x07ffffff;

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

std::string new_vm_id() {
  std::array<char, id_digits + 1> digits{};
  std::snprintf(digits.data(), digits.size(), "%08x", device_uid(random_hex(id_digits / 2)));
  return digits.data();
}

unsigned device_uid(std::string_view vm_id) {
  check_vm_id(vm_id);
  unsigned number = 0;
  std::from_chars(vm_id.data(), vm_id.data() + vm_id.size(), number, 16);
  return first_device_uid | (number & device_uid_bits);
}

}  // namespace husk::hypervisor
