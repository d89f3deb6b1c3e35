// SPDX-License-Identifier: Apache-2.0
#include <charconv>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "lib/base/error.hpp"
#include "lib/base/files.hpp"
#include "lib/hypervisor/domain_xml.hpp"
#include "lib/hypervisor/libvirt_api.hpp"
#include "lib/hypervisor/libvirt_daemon.hpp"
#include "lib/hypervisor/vm.hpp"

namespace husk::hypervisor {
namespace {

namespace fs = std::filesystem;

constexpr const char* run_directory = "/run/libvirt/qemu";

ProcessIdentity read_pid_file(const fs::path& path) {
  const std::string text = read_file(path, 64);
  pid_t pid = 0;
  std::from_chars(text.data(), text.data() + text.size(), pid);
  const auto process = identify_process(pid);
  if (!process) throw Error(Errc::peer_lost, "the VM ended at once");
  return *process;
}

/// libvirt names them "<domain id>-<short name>-fs<n>-fs.pid"; the short name is the domain's, cut.
std::vector<ProcessIdentity> find_helpers(const std::string& name) {
  std::vector<ProcessIdentity> helpers;
  const std::string stem = name.substr(0, 20);
  for (const fs::directory_entry& entry : fs::directory_iterator(run_directory)) {
    const std::string file = entry.path().filename().string();
    if (file.find("-" + stem) != std::string::npos && file.ends_with("-fs.pid")) {
      helpers.push_back(read_pid_file(entry.path()));
    }
  }
  return helpers;
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
  explicit LibvirtHypervisor(const HypervisorOptions& options) {
    libvirt();  // its absence is the clearer error, so first
    if (options.uri == "qemu:///system") ensure_libvirt_daemon(options.daemon_idle_timeout);
    connection_.reset(libvirt().connect_open(options.uri.c_str()));
    if (!connection_) throw libvirt_error("connect to libvirt at " + options.uri);
  }

  StartedVm start(const VmConfig& config) override {
    const std::string xml = qemu_domain_xml(config);
    // Transient, and without autodestroy: the VM outlives this command.
    const Domain domain{libvirt().domain_create_xml(connection_.get(), xml.c_str(), 0)};
    if (!domain) throw libvirt_error("libvirt");
    try {
      return describe(domain.get(), config);
    } catch (...) {
      libvirt().domain_destroy(domain.get());
      throw;
    }
  }

  void destroy(const std::string& name) override {
    const Domain domain = look_up(name);
    if (!domain) return;
    if (libvirt().domain_destroy(domain.get()) == 0) return;
    // It may have ended between the two calls; then there is nothing left to do.
    Error error = libvirt_error("destroy VM " + name);
    if (look_up(name)) throw error;
  }

  bool exists(const std::string& name) override { return look_up(name) != nullptr; }

 private:
  Domain look_up(const std::string& name) {
    return Domain{libvirt().domain_lookup_by_name(connection_.get(), name.c_str())};
  }

  static StartedVm describe(virDomainPtr domain, const VmConfig& config) {
    StartedVm vm{.name = config.name,
                 .process = read_pid_file(fs::path(run_directory) / (config.name + ".pid")),
                 .helpers = find_helpers(config.name),
                 .cid = {}};
    if (!config.vsock.vhost_user_socket) {
      char* xml = libvirt().domain_get_xml_desc(domain, 0);
      if (xml == nullptr) throw libvirt_error("describe VM " + config.name);
      vm.cid = read_cid(xml);
      std::free(xml);
      if (!vm.cid) throw Error(Errc::internal, "libvirt gave VM " + config.name + " no vsock CID");
    }
    return vm;
  }

  Connection connection_;
};

}  // namespace

std::unique_ptr<Hypervisor> connect_libvirt(const HypervisorOptions& options) {
  return std::make_unique<LibvirtHypervisor>(options);
}

}  // namespace husk::hypervisor
