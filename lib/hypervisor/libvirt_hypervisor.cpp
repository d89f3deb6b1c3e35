// SPDX-License-Identifier: Apache-2.0
#include "lib/base/error.hpp"
#include "lib/hypervisor/daemon_namespace.hpp"
#include "lib/hypervisor/driver.hpp"
#include "lib/hypervisor/libvirt_api.hpp"
#include "lib/hypervisor/libvirt_daemon.hpp"
#include "lib/hypervisor/live_driver.hpp"
#include "lib/hypervisor/vm.hpp"
#include "lib/hypervisor/vm_logs.hpp"

namespace husk::hypervisor {
namespace {

class LibvirtHypervisor : public Hypervisor {
 public:
  explicit LibvirtHypervisor(const HypervisorOptions& options)
      : driver_(driver_for(options.uri)), live_(driver_.live()) {
    libvirt();  // its absence is the clearer error, so first
    is_local_ = options.uri == driver_.uri();
    if (is_local_ && options.daemon_idle_timeout.count() > 0)
      ensure_libvirt_daemon(driver_.daemon(), options.daemon_idle_timeout);
    connection_.reset(libvirt().connect_open(options.uri.c_str()));
    if (!connection_) throw live_.explain(libvirt_error("connect to libvirt at " + options.uri));
  }

  StartedVm start(const VmConfig& config) override {
    if (config.show_files && is_local_)
      if (const UniqueFd there = daemons_mount_namespace(driver_.daemon()))
        config.show_files(there.get());
    try {
      return live_.start(connection_.get(), config, driver_.pid_file(config.name));
    } catch (...) {
      remove_vm_logs(driver_, config.name);
      throw;
    }
  }

  void destroy(const std::string& name) override {
    // libvirt returns when the VM's process is gone; a domain it does not know has none left.
    const Domain domain = look_up(name);
    if (domain && !live_.destroy(domain.get())) {
      // The VM may have ended between the two calls; then nothing is left to do.
      const Error error = libvirt_error("destroy VM " + name);
      if (look_up(name)) throw error;
    }
    remove_vm_logs(driver_, name);
  }

  void attach(const std::string& name, const NetworkCard& card,
              const std::function<void()>& place) override {
    live_.attach(find(name).get(), card, place);
  }

  void change(const std::string& name, const MemoryDevice& device) override {
    live_.change(find(name).get(), device);
  }

  void rename(const std::string& name, const std::string& title,
              const std::string& description) override {
    live_.rename(find(name).get(), title, description);
  }

  std::string version() override {
    unsigned long number = 0;
    if (libvirt().connect_get_lib_version(connection_.get(), &number) != 0)
      throw libvirt_error("ask libvirt for its version");
    return std::to_string(number / 1000000) + "." + std::to_string(number / 1000 % 1000) + "." +
           std::to_string(number % 1000);
  }

 private:
  /// Null only if libvirt says that there is none: a lost connection must not look like success.
  Domain look_up(const std::string& name) {
    Domain domain{libvirt().domain_lookup_by_name(connection_.get(), name.c_str())};
    if (!domain && !is_no_domain_error()) throw libvirt_error("look for VM " + name);
    return domain;
  }

  Domain find(const std::string& name) {
    Domain domain = look_up(name);
    if (!domain) throw Error(Errc::not_found, "libvirt does not know VM " + name);
    return domain;
  }

  const Driver& driver_;
  const LiveDriver& live_;
  bool is_local_ = false;  ///< connected to the system's daemon of this host
  Connection connection_;
};

}  // namespace

std::unique_ptr<Hypervisor> connect_libvirt(const HypervisorOptions& options) {
  return std::make_unique<LibvirtHypervisor>(options);
}

}  // namespace husk::hypervisor
