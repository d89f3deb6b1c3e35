// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>

#include <filesystem>

#include "lib/base/error.hpp"
#include "lib/base/files.hpp"
#include "lib/base/text.hpp"
#include "lib/hypervisor/ch_domain.hpp"
#include "lib/hypervisor/live_driver.hpp"
#include "lib/hypervisor/vm_process.hpp"

namespace husk::hypervisor {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t max_failure_bytes = 4096;

/// What husk-ch says of its failure; empty: nothing. libvirt's own text is the same for every reason.
std::string read_failure(const fs::path& directory) try {
  return one_line(read_file(directory / ch_failure_file, max_failure_bytes));
} catch (const Error&) {
  return {};
}

/// What husk-ch finds in the VM's directory.
void write_files(const VmConfig& config) {
  write_new_file(AT_FDCWD, config.directory / ch_additions_file, ch_additions(config), 0600);
  fs::create_symlink(config.go_between->program, config.directory / ch_emulator);
}

void remove_files(const fs::path& directory) noexcept {
  std::error_code ignored;
  for (const char* name : {ch_additions_file, ch_emulator, ch_process_file, ch_failure_file})
    fs::remove(directory / name, ignored);
}

class ChLiveDriver : public LiveDriver {
 public:
  /// libvirt 9.0 keeps an ended domain that was transient in its list, and forgets one that was defined; later versions do
  /// as documented. So the domain is defined.
  StartedVm start(virConnectPtr connection, const VmConfig& config,
                  const fs::path& /*pid_file*/) const override {
    const std::string xml = ch_domain_xml(config);
    const fs::path& directory = config.directory;
    write_files(config);
    Domain domain{libvirt().domain_define_xml(connection, xml.c_str())};
    try {
      if (!domain || libvirt().domain_create(domain.get()) != 0) throw start_error(directory);
      const auto process = read_process_file(directory / ch_process_file);
      if (!process) throw Error(Errc::peer_lost, "the VM exited immediately");
      return {.name = config.name, .process = *process, .cid = {}};
    } catch (...) {
      if (domain) destroy(domain.get());
      remove_files(directory);
      throw;
    }
  }

  /// Neither fails where there is nothing left to end. libvirt 11.1 to 11.7 does not end the process, so the caller has.
  bool destroy(virDomainPtr domain) const override {
    libvirt().domain_destroy(domain);
    return libvirt().domain_undefine(domain) == 0 || is_no_domain_error();
  }

  Error explain(const Error& error) const override {
    const std::string text = error.what();
    if (text.find("no connection driver available") == std::string::npos &&
        text.find("driver is not active") == std::string::npos)
      return error;
    return {Errc::unsupported,
            "libvirt on this host has no Cloud Hypervisor driver (Debian and Ubuntu build libvirt "
            "without the driver), or its daemon did not find cloud-hypervisor in its PATH; "
            "hypervisor.uri = \"qemu:///system\" uses QEMU (" +
                text + ")"};
  }

  void attach(virDomainPtr, const NetworkCard&, const std::function<void()>&) const override {
    throw Error(Errc::unsupported,
                "Cloud Hypervisor: a network cannot be connected while the VM runs");
  }

  void change(virDomainPtr, const MemoryDevice&) const override {
    throw Error(Errc::unsupported,
                "Cloud Hypervisor: the VM's memory cannot be changed while the VM runs");
  }

  /// libvirt's ch driver knows no change of a description.
  void rename(virDomainPtr, const std::string&, const std::string&) const override {}

 private:
  static Error start_error(const fs::path& directory) {
    const Error error = libvirt_error("libvirt");
    const std::string reason = read_failure(directory);
    return reason.empty() ? error : Error(error.code(), std::string(error.what()) + ": " + reason);
  }
};

}  // namespace

const LiveDriver& ch_live_driver() {
  static const ChLiveDriver driver;
  return driver;
}

}  // namespace husk::hypervisor
