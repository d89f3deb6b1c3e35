// SPDX-License-Identifier: Apache-2.0
#include <cerrno>
#include <charconv>
#include <filesystem>
#include <fstream>

#include "lib/base/error.hpp"
#include "lib/base/files.hpp"
#include "lib/hypervisor/daemon_namespace.hpp"
#include "lib/hypervisor/driver.hpp"
#include "lib/hypervisor/libvirt_api.hpp"
#include "lib/hypervisor/libvirt_daemon.hpp"
#include "lib/hypervisor/live_network.hpp"
#include "lib/hypervisor/vm.hpp"
#include "lib/hypervisor/vm_logs.hpp"

namespace husk::hypervisor {
namespace {

namespace fs = std::filesystem;

/// Empty where there is no such file.
std::string read_if_there(const fs::path& path) try {
  return read_file(path, 64);
} catch (const Error& e) {
  if (e.sys_errno() != ENOENT) throw;
  return {};
}

/// libvirt removes the file when the process ends. Callers would take "no such file or directory" for a
/// statement about the container's command.
ProcessIdentity read_pid_file(const fs::path& path, const std::string& what) {
  const std::string text = read_if_there(path);
  pid_t pid = 0;
  std::from_chars(text.data(), text.data() + text.size(), pid);
  const auto process = identify_process(pid);
  if (!process) throw Error(Errc::peer_lost, what + " exited immediately");
  return *process;
}

std::optional<std::uint32_t> read_cid(const std::string& xml) {
  const std::size_t cid = xml.find("<cid "), address = xml.find("address='", cid);
  if (cid == std::string::npos || address == std::string::npos) return std::nullopt;
  std::uint32_t number = 0;
  const char* start = xml.data() + address + 9;
  std::from_chars(start, xml.data() + xml.size(), number);
  return number == 0 ? std::nullopt : std::optional(number);
}

class LibvirtHypervisor : public Hypervisor {
 public:
  explicit LibvirtHypervisor(const HypervisorOptions& options) : driver_(driver_for(options.uri)) {
    libvirt();  // its absence is the clearer error, so first
    is_local_ = options.uri == driver_.uri();
    if (is_local_ && options.daemon_idle_timeout.count() > 0)
      ensure_libvirt_daemon(driver_.daemon(), options.daemon_idle_timeout);
    connection_.reset(libvirt().connect_open(options.uri.c_str()));
    if (!connection_) throw libvirt_error("connect to libvirt at " + options.uri);
  }

  StartedVm start(const VmConfig& config) override {
    if (config.show_files && is_local_)
      if (const UniqueFd there = daemons_mount_namespace(driver_.daemon()))
        config.show_files(there.get());
    Domain domain = create(config, CpuQuestions::few);
    if (!domain && is_refused_capability()) domain = create(config, CpuQuestions::all);
    if (!domain) {
      const Error error = libvirt_error("libvirt");  // before anything else changes the last error
      remove_vm_logs(driver_, config.name);
      throw error;
    }
    try {
      return describe(domain.get(), config);
    } catch (...) {
      libvirt().domain_destroy(domain.get());
      remove_vm_logs(driver_, config.name);
      throw;
    }
  }

  void destroy(const std::string& name) override {
    // libvirt returns when QEMU is gone; a domain it does not know has none left.
    const Domain domain = look_up(name);
    if (domain && libvirt().domain_destroy(domain.get()) != 0) {
      // The VM may have ended between the two calls; then nothing is left to do.
      const Error error = libvirt_error("destroy VM " + name);
      if (look_up(name)) throw error;
    }
    remove_vm_logs(driver_, name);
  }

  void attach(const std::string& name, const NetworkCard& card,
              const std::function<void()>& place) override {
    const Domain domain = look_up(name);
    if (!domain) throw Error(Errc::not_found, "libvirt does not know VM " + name);
    attach_card(driver_, domain.get(), card, place);
  }

  void change(const std::string& name, const MemoryDevice& device) override {
    const Domain domain = look_up(name);
    if (!domain) throw Error(Errc::not_found, "libvirt does not know VM " + name);
    const std::string xml = driver_.changed_memory_xml(device, describe_domain(domain.get()));
    if (libvirt().domain_update_device_flags(domain.get(), xml.c_str(), VIR_DOMAIN_AFFECT_LIVE) !=
        0)
      throw libvirt_error("libvirt");
  }

  void rename(const std::string& name, const std::string& title,
              const std::string& description) override {
    const Domain domain = look_up(name);
    if (!domain) throw Error(Errc::not_found, "libvirt does not know VM " + name);
    const auto set = [&](int what, const std::string& text) {
      if (libvirt().domain_set_metadata(domain.get(), what, text.c_str(), nullptr, nullptr,
                                        VIR_DOMAIN_AFFECT_LIVE) != 0)
        throw libvirt_error("libvirt");
    };
    set(VIR_DOMAIN_METADATA_TITLE, title);
    set(VIR_DOMAIN_METADATA_DESCRIPTION, description);
  }

  std::string version() override {
    unsigned long number = 0;
    if (libvirt().connect_get_lib_version(connection_.get(), &number) != 0)
      throw libvirt_error("ask libvirt for its version");
    return std::to_string(number / 1000000) + "." + std::to_string(number / 1000 % 1000) + "." +
           std::to_string(number % 1000);
  }

 private:
  /// Transient, and without autodestroy: the VM outlives this command. Null: see libvirt_error.
  Domain create(const VmConfig& config, CpuQuestions questions) {
    const std::string xml = driver_.domain_xml(config, questions);
    return Domain{libvirt().domain_create_xml(connection_.get(), xml.c_str(), 0)};
  }

  /// Null only if libvirt says that there is none: a lost connection must not look like success.
  Domain look_up(const std::string& name) {
    Domain domain{libvirt().domain_lookup_by_name(connection_.get(), name.c_str())};
    if (!domain && !is_no_domain_error()) throw libvirt_error("look for VM " + name);
    return domain;
  }

  StartedVm describe(virDomainPtr domain, const VmConfig& config) const {
    StartedVm vm{.name = config.name,
                 .process = read_pid_file(driver_.pid_file(config.name), "the VM"),
                 .cid = {}};
    if (!config.vsock.vhost_user_socket) {
      vm.cid = read_cid(describe_domain(domain));
      if (!vm.cid) throw Error(Errc::internal, "libvirt gave VM " + config.name + " no vsock CID");
    }
    return vm;
  }

  const Driver& driver_;
  bool is_local_ = false;  ///< connected to the system's daemon of this host
  Connection connection_;
};

}  // namespace

std::unique_ptr<Hypervisor> connect_libvirt(const HypervisorOptions& options) {
  return std::make_unique<LibvirtHypervisor>(options);
}

}  // namespace husk::hypervisor
