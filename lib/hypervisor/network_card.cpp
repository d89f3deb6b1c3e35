// SPDX-License-Identifier: Apache-2.0
#include "lib/hypervisor/network_card.hpp"

#include <algorithm>
#include <string_view>

#include "lib/base/error.hpp"
#include "lib/hypervisor/vm_id.hpp"

namespace husk::hypervisor {
namespace {

constexpr std::size_t mac_characters = 17;
constexpr std::size_t max_tap_characters = 15;  // IFNAMSIZ holds the end of the text as well
constexpr unsigned max_named_cards = 100;       // two digits: "husk" + id + "-" + number is 15 long

bool is_hex(char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); }

bool is_tap_character(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' ||
         c == '_';
}

bool is_unicast_mac(const std::string& mac) {
  if (mac.size() != mac_characters) return false;
  for (std::size_t i = 0; i < mac.size(); ++i) {
    if (i % 3 == 2 ? mac[i] != ':' : !is_hex(mac[i])) return false;
  }
  // The lowest bit of the first byte is "for a group".
  return std::string_view("02468ace").find(mac[1]) != std::string_view::npos;
}

/// The names of all taps of the VM begin with it.
std::string tap_prefix(const std::string& vm_id) { return "husk" + vm_id + "-"; }

std::string two_hex_digits(unsigned number) {
  constexpr std::string_view digits = "0123456789abcdef";
  return {digits[number >> 4 & 15], digits[number & 15]};
}

}  // namespace

NetworkCard network_card(const std::string& vm_id, unsigned number) {
  check_vm_id(vm_id);
  if (number >= max_named_cards)
    throw Error(Errc::invalid_argument, "network card " + std::to_string(number) + " of VM " +
                                            vm_id + ": a VM can have at most 100");
  std::string mac = "06";
  for (std::size_t i = 0; i < vm_id.size(); i += 2) mac += ":" + vm_id.substr(i, 2);
  return {.mac = mac + ":" + two_hex_digits(number),
          .tap = tap_prefix(vm_id) + std::to_string(number)};
}

bool is_tap_of(const std::string& vm_id, const std::string& tap) {
  return tap.starts_with(tap_prefix(vm_id));
}

void check_network_card(const NetworkCard& card) {
  if (!is_unicast_mac(card.mac))
    throw Error(Errc::invalid_argument,
                "network card: mac \"" + card.mac + "\" is not a unicast MAC address");
  if (card.tap.empty() || card.tap.size() > max_tap_characters ||
      !std::all_of(card.tap.begin(), card.tap.end(), is_tap_character))
    throw Error(Errc::invalid_argument, "network card: tap \"" + card.tap +
                                            "\" is not a name of 1 to 15 letters, digits, '-' "
                                            "and '_'");
}

}  // namespace husk::hypervisor
