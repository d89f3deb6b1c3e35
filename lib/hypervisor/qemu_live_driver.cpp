// SPDX-License-Identifier: Apache-2.0
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <filesystem>

#include "lib/base/error.hpp"
#include "lib/base/files.hpp"
#include "lib/hypervisor/domain_xml.hpp"
#include "lib/hypervisor/live_driver.hpp"
#include "lib/hypervisor/network_xml.hpp"
#include "lib/hypervisor/size_xml.hpp"
#include "lib/hypervisor/xml_text.hpp"

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

/// The XML by which libvirt describes the domain.
std::string describe_domain(virDomainPtr domain) {
  char* text = libvirt().domain_get_xml_desc(domain, 0);
  if (text == nullptr) throw libvirt_error("describe the VM");
  std::string xml = text;
  std::free(text);
  return xml;
}

unsigned count_processors(virDomainPtr domain) {
  virDomainInfo info{};
  if (libvirt().domain_get_info(domain, &info) != 0) throw libvirt_error("ask for the processors");
  return info.nrVirtCpu;
}

/// Takes the card away again, as soon as the guest lets go of it.
void ask_guest_for(virDomainPtr domain, const std::string& mac) {
  const std::string xml =
      "<interface type='ethernet'><mac address='" + xml_escape(mac) + "'/></interface>";
  libvirt().domain_detach_device_flags(domain, xml.c_str(), VIR_DOMAIN_AFFECT_LIVE);
}

/// Transient, and without autodestroy: the VM outlives this command. Null: see libvirt_error.
Domain create(virConnectPtr connection, const VmConfig& config, CpuQuestions questions) {
  const std::string xml = qemu_domain_xml(config, questions);
  return Domain{libvirt().domain_create_xml(connection, xml.c_str(), 0)};
}

StartedVm describe(virDomainPtr domain, const VmConfig& config, const fs::path& pid_file) {
  StartedVm vm{.name = config.name, .process = read_pid_file(pid_file, "the VM"), .cid = {}};
  if (!config.vsock.vhost_user_socket) {
    vm.cid = read_cid(describe_domain(domain));
    if (!vm.cid) throw Error(Errc::internal, "libvirt gave VM " + config.name + " no vsock CID");
  }
  return vm;
}

class QemuLiveDriver : public LiveDriver {
 public:
  StartedVm start(virConnectPtr connection, const VmConfig& config,
                  const fs::path& pid_file) const override {
    Domain domain = create(connection, config, CpuQuestions::few);
    if (!domain && is_refused_capability()) domain = create(connection, config, CpuQuestions::all);
    if (!domain) throw libvirt_error("libvirt");
    try {
      return describe(domain.get(), config, pid_file);
    } catch (...) {
      libvirt().domain_destroy(domain.get());
      throw;
    }
  }

  Error explain(const Error& error) const override { return error; }

  bool destroy(virDomainPtr domain) const override { return libvirt().domain_destroy(domain) == 0; }

  void attach(virDomainPtr domain, const NetworkCard& card,
              const std::function<void()>& place) const override {
    const unsigned vcpus = count_processors(domain);
    // The guest runs, and is hostile: not a frame of it may reach the host's own network.
    const std::string unplugged = qemu_network_card_xml(card, vcpus, Cable::out);
    if (libvirt().domain_attach_device_flags(domain, unplugged.c_str(), VIR_DOMAIN_AFFECT_LIVE) !=
        0)
      throw libvirt_error("libvirt");
    try {
      place();
      update(domain, qemu_network_card_xml(card, vcpus, Cable::in));
    } catch (...) {
      ask_guest_for(domain, card.mac);
      throw;
    }
  }

  void change(virDomainPtr domain, const MemoryDevice& device) const override {
    update(domain, qemu_changed_memory_xml(device, describe_domain(domain)));
  }

  void rename(virDomainPtr domain, const std::string& title,
              const std::string& description) const override {
    const auto set = [&](int what, const std::string& text) {
      if (libvirt().domain_set_metadata(domain, what, text.c_str(), nullptr, nullptr,
                                        VIR_DOMAIN_AFFECT_LIVE) != 0)
        throw libvirt_error("libvirt");
    };
    set(VIR_DOMAIN_METADATA_TITLE, title);
    set(VIR_DOMAIN_METADATA_DESCRIPTION, description);
  }

 private:
  static void update(virDomainPtr domain, const std::string& device) {
    if (libvirt().domain_update_device_flags(domain, device.c_str(), VIR_DOMAIN_AFFECT_LIVE) != 0)
      throw libvirt_error("libvirt");
  }
};

}  // namespace

const LiveDriver& qemu_live_driver() {
  static const QemuLiveDriver driver;
  return driver;
}

}  // namespace husk::hypervisor
