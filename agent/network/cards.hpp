// SPDX-License-Identifier: Apache-2.0
// The network cards of this guest.
#pragma once

#include <string>
#include <vector>

namespace husk::agent {

struct Card {
  int index = 0;       ///< of its link
  std::string name;    ///< of its link, now
  std::string device;  ///< the MAC address that it was made with, lower case
};

/// Lists and removes cards; tests have another implementation.
class Cards {
 public:
  Cards() = default;
  Cards(const Cards&) = delete;
  Cards& operator=(const Cards&) = delete;
  virtual ~Cards() = default;

  virtual std::vector<Card> list() = 0;
  virtual void remove(const Card& card) = 0;  ///< no container shall see it
  virtual void rescan() = 0;                  ///< one that was removed may be wanted again
};

}  // namespace husk::agent
