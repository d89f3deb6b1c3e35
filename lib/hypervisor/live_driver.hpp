// SPDX-License-Identifier: Apache-2.0
// What each of libvirt's drivers has to be asked in a way of its own. Private to lib/hypervisor.
#pragma once

#include <filesystem>
#include <functional>
#include <string>

#include "lib/hypervisor/libvirt_api.hpp"
#include "lib/hypervisor/network_card.hpp"
#include "lib/hypervisor/vm.hpp"

namespace husk::hypervisor {

/// Does the work of the functions of Hypervisor with the same names, and throws what they do.
class LiveDriver {
 public:
  virtual ~LiveDriver() = default;
  /// The same error, or one that says more, of a connection that failed.
  virtual Error explain(const Error& error) const = 0;
  /// `pid_file`: Driver::pid_file(). What libvirt itself has made of the VM, but its logs, is gone when this throws.
  virtual StartedVm start(virConnectPtr connection, const VmConfig& config,
                          const std::filesystem::path& pid_file) const = 0;
  /// Ends the VM, and has libvirt forget the domain. False with libvirt's last error where that failed.
  virtual bool destroy(virDomainPtr domain) const = 0;
  virtual void attach(virDomainPtr domain, const NetworkCard& card,
                      const std::function<void()>& place) const = 0;
  virtual void change(virDomainPtr domain, const MemoryDevice& device) const = 0;
  virtual void rename(virDomainPtr domain, const std::string& title,
                      const std::string& description) const = 0;
};

const LiveDriver& qemu_live_driver();
const LiveDriver& ch_live_driver();

}  // namespace husk::hypervisor
