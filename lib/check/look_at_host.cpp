// SPDX-License-Identifier: Apache-2.0
#include "lib/check/look_at_host.hpp"

#include <fcntl.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <iterator>
#include <set>
#include <sstream>

#include "lib/base/error.hpp"
#include "lib/base/files.hpp"
#include "lib/check/denials.hpp"
#include "lib/check/error_of.hpp"
#include "lib/check/look_at_files.hpp"
#include "lib/guestcomm/link/guest_address.hpp"
#include "lib/handoff/vhost_sockets.hpp"
#include "lib/hypervisor/driver.hpp"
#include "lib/runtime/host/cgroup_hierarchies.hpp"
#include "lib/runtime/host/cloud_hypervisor.hpp"
#include "lib/runtime/host/config.hpp"
#include "lib/runtime/host/install_paths.hpp"

namespace husk::check {
namespace {

using namespace std::chrono_literals;
namespace fs = std::filesystem;

constexpr auto file_patience = 5s;
/// More than the 20 s that find_virtiofsd() and ask_version() have for the program.
constexpr auto virtiofsd_patience = 25s;

Processor find_processor() {
  std::ifstream cpuinfo("/proc/cpuinfo");
  for (std::string line; std::getline(cpuinfo, line);) {
    if (!line.starts_with("flags")) continue;
    std::istringstream words(line.substr(line.find(':') + 1));
    const std::set<std::string> flags{std::istream_iterator<std::string>(words), {}};
    return {.can_virtualize = flags.contains("vmx") || flags.contains("svm"),
            .is_virtual = flags.contains("hypervisor")};
  }
  return {};
}

void look_at_kvm(Host& host) {
  const UniqueFd kvm{::open("/dev/kvm", O_RDWR | O_CLOEXEC)};
  host.kvm_error = kvm ? 0 : errno;
  if (kvm && host.processor.can_virtualize) host.tiny_vm = run_tiny_vm(10s);
}

Part find_qemu() {
  for (const char* const program : {"/usr/bin/qemu-system-x86_64", "/usr/libexec/qemu-kvm"})
    if (::access(program, X_OK) == 0) return ask_version(program);
  return {.version = {}, .error = "QEMU is not installed (/usr/bin/qemu-system-x86_64)"};
}

Part find_cloud_hypervisor_part(const runtime::Config& config) {
  Part part;
  part.error = error_of([&] {
    part.version =
        runtime::identify_cloud_hypervisor(runtime::find_cloud_hypervisor(config.cloud_hypervisor));
  });
  return part;
}

void look_at_libvirt(Host& host, const runtime::Config& config) {
  host.libvirt.error = error_of(
      [&] { host.libvirt.version = hypervisor::bounded_libvirt({.uri = config.uri})->version(); });
}

/// Stops at the first file on a file system that does not answer: the others are likely to be there too.
void look_at_guest(Host& host, const runtime::Config& config) {
  const hypervisor::Driver& driver = hypervisor::driver_for(config.uri);
  const runtime::InstallPaths paths = runtime::find_install_paths();
  std::optional<unsigned> uid;
  host.vm_user_error = error_of([&] { uid = driver.find_user().uid; });
  const fs::path modules = config.modules.value_or(config.kernel ? "" : paths.modules);
  const std::initializer_list<std::pair<const char*, fs::path>> files{
      {"vm.kernel", config.kernel.value_or(paths.kernel)},
      {"vm.initrd", config.initrd.value_or(paths.initrd)},
      {"hypervisor.firmware", config.firmware.value_or(driver.firmware)},
      {"vm.modules", modules}};
  for (const auto& [key, path] : files) {
    if (path.empty()) continue;
    const bool is_modules = std::string_view(key) == "vm.modules";  // husk alone reads them
    const std::optional<unsigned> reader = is_modules ? std::nullopt : uid;
    host.guest_files.push_back(look_at_guest_file(key, path, reader, file_patience));
    if (host.guest_files.back().is_unanswered) return;
    if (is_modules) host.guest_kernel = host.guest_files.back().release;
  }
}

/// A controller that is in neither version's table is not compiled in, or is switched off at boot.
std::vector<std::string> find_missing_controllers() {
  std::set<std::string> present;
  std::ifstream unified("/sys/fs/cgroup/cgroup.controllers");
  present.insert(std::istream_iterator<std::string>(unified), {});
  std::ifstream table("/proc/cgroups");
  for (std::string line; std::getline(table, line);) {
    std::istringstream fields(line);
    std::string name, hierarchy, number, enabled;
    if (fields >> name >> hierarchy >> number >> enabled && enabled == "1" && hierarchy != "0")
      present.insert(name);
  }
  std::vector<std::string> missing;
  for (const char* const wanted : {"cpu", "memory", "pids"})
    if (!present.contains(wanted)) missing.emplace_back(wanted);
  return missing;
}

Cgroups look_at_cgroups() {
  Cgroups cgroups;
  (void)error_of([&] {
    for (const runtime::Hierarchy& one : runtime::find_hierarchies())
      (one.v2 ? cgroups.v2 : cgroups.v1) = true;
  });
  cgroups.missing = find_missing_controllers();
  return cgroups;
}

std::uint64_t find_available_memory_mib() {
  std::ifstream meminfo("/proc/meminfo");
  std::uint64_t kib = 0;
  for (std::string name, unit; meminfo >> name >> kib && std::getline(meminfo, unit);)
    if (name == "MemAvailable:") return kib / 1024;
  return 0;
}

std::vector<Place> look_at_places() {
  std::vector<Place> places;
  for (const char* const path : {"/run", "/var/log"}) {
    struct statvfs status {};
    if (::statvfs(path, &status) != 0) continue;
    places.push_back({.path = path,
                      .free_bytes = std::uint64_t{status.f_bfree} * status.f_frsize,
                      .is_read_only = (status.f_flag & ST_RDONLY) != 0});
  }
  return places;
}

std::string find_container() {
  for (const char* const mark : {"/run/.containerenv", "/.dockerenv", "/run/systemd/container"})
    if (::access(mark, F_OK) == 0) return mark;
  return {};
}

bool is_selinux_enforcing() {
  std::ifstream enforce("/sys/fs/selinux/enforce");
  int value = 0;
  return enforce >> value && value == 1;
}

}  // namespace

Host look_at_host(const fs::path& config_file) {
  Host host;
  host.program = fs::read_symlink("/proc/self/exe");
  runtime::Config config;
  host.config_error = error_of([&] { config = runtime::load_config(config_file); });
  host.is_root = ::geteuid() == 0;
  host.configured_accelerator = config.accelerator;
  host.default_memory_mib = config.memory_mib;
  host.processor = find_processor();
  look_at_kvm(host);
  host.has_vhost_vsock = guestcomm::has_vhost_vsock();
  host.has_vhost_device = ::access(handoff::vhost_device_program, X_OK) == 0;
  host.qemu = find_qemu();
  if (hypervisor::driver_for(config.uri).has_go_between)
    host.cloud_hypervisor = find_cloud_hypervisor_part(config);
  look_at_libvirt(host, config);
  const VirtiofsdLook virtiofsd = look_at_virtiofsd(config.virtiofsd, virtiofsd_patience);
  host.virtiofsd = virtiofsd.part;
  host.is_rust_virtiofsd = virtiofsd.is_rust;
  look_at_guest(host, config);
  host.cgroups = look_at_cgroups();
  host.available_memory_mib = find_available_memory_mib();
  host.places = look_at_places();
  (void)error_of([&] { host.engines = find_engines("/"); });
  host.container = find_container();
  host.is_selinux_enforcing = is_selinux_enforcing();
  host.denial = find_recent_denial("/dev/kmsg", "/var/log/audit/audit.log", find_now());
  return host;
}

}  // namespace husk::check
