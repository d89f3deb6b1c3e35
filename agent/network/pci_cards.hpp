// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "agent/network/cards.hpp"

namespace husk::agent {

/// The virtio cards on the PCI bus.
class PciCards : public Cards {
 public:
  std::vector<Card> list() override;
  void remove(const Card& card) override;
  void rescan() override;
};

}  // namespace husk::agent
