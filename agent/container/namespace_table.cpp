// SPDX-License-Identifier: Apache-2.0
#include "agent/container/namespace_table.hpp"

#include <fcntl.h>
#include <sched.h>

#include "lib/base/error.hpp"

namespace husk::agent {
namespace {

using guestcomm::NamespaceUse;

std::uint64_t flag_of(const std::string& type) {
  if (type == "pid") return CLONE_NEWPID;
  return type == "ipc" ? CLONE_NEWIPC : CLONE_NEWUTS;
}

std::shared_ptr<const GuestNamespace> open_namespace(pid_t process, const NamespaceUse& use) {
  const std::string& type = use.type;
  const std::string path = "/proc/" + std::to_string(process) + "/ns/" + type;
  UniqueFd fd{check_sys(::open(path.c_str(), O_RDONLY | O_CLOEXEC), "open " + path)};
  return std::make_shared<const GuestNamespace>(
      GuestNamespace{flag_of(type), std::move(fd), use.way == NamespaceUse::Way::share});
}

}  // namespace

std::shared_ptr<const GuestNamespace> NamespaceTable::look_up(const NamespaceUse& use) const {
  const auto known = known_.find({use.type, use.origin});
  return known == known_.end() ? nullptr : known->second.lock();
}

GuestNamespaces NamespaceTable::find(const std::vector<NamespaceUse>& uses) const {
  GuestNamespaces joined;
  for (const NamespaceUse& use : uses) {
    if (use.way == NamespaceUse::Way::make) continue;
    if (auto found = look_up(use)) {
      joined.push_back(std::move(found));
    } else if (use.way == NamespaceUse::Way::join) {
      throw Error(Errc::not_found,
                  "the " + use.type + " namespace to be joined: no container in the VM has it");
    }
  }
  return joined;
}

GuestNamespaces NamespaceTable::add(const std::vector<NamespaceUse>& uses, pid_t first) {
  std::erase_if(known_, [](const auto& one) { return one.second.expired(); });
  GuestNamespaces own;
  for (const NamespaceUse& use : uses) {
    auto one = use.way == NamespaceUse::Way::make ? nullptr : look_up(use);
    if (!one) one = open_namespace(first, use);
    known_[{use.type, use.name}] = one;
    own.push_back(std::move(one));
  }
  return own;
}

}  // namespace husk::agent
