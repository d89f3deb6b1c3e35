// SPDX-License-Identifier: Apache-2.0
#include "lib/runtime/find_host_facts.hpp"

#include <unistd.h>

#include <fstream>

#include "lib/base/random_id.hpp"
#include "lib/base/time.hpp"
#include "lib/guestcomm/link/guest_address.hpp"
#include "lib/hypervisor/driver.hpp"
#include "lib/hypervisor/host_tsc.hpp"
#include "lib/hypervisor/vm_id.hpp"
#include "lib/runtime/caller/terminal.hpp"
#include "lib/runtime/plan/choose_vm.hpp"
#include "lib/runtime/plan/shim_plan.hpp"
#include "lib/runtime/vm/container_network.hpp"
#include "lib/runtime/vm/find_namespaces.hpp"
#include "lib/systemd/scope.hpp"

namespace husk::runtime {
namespace {

std::string find_owner() {
  const std::string uid = std::to_string(::getuid());
  // getpwuid() loads the name services, which costs more than the whole command.
  std::ifstream passwd("/etc/passwd");
  for (std::string line; std::getline(passwd, line);) {
    const std::size_t name = line.find(':'), password = line.find(':', name + 1);
    if (line.compare(password + 1, uid.size() + 1, uid + ":") == 0) return line.substr(0, name);
  }
  return uid;
}

std::uint64_t find_memory_mib() {
  std::ifstream meminfo("/proc/meminfo");
  std::uint64_t mib = 0, kib = 0;
  for (std::string name, unit; meminfo >> name >> kib && std::getline(meminfo, unit);) {
    if (name == "MemTotal:" || name == "SwapTotal:") mib += kib / 1024;
  }
  return mib;
}

}  // namespace

HostFacts find_host_facts(const Config& config,
                          const std::optional<std::filesystem::path>& pid_file,
                          const oci::Spec& spec) {
  const std::optional<std::filesystem::path> network = plan_host_namespaces(spec).network;
  HostFacts facts{
      .accelerator = config.accelerator ? *config.accelerator : hypervisor::detect_accelerator(),
      .vm_user = std::nullopt,
      .memory_mib = find_memory_mib(),
      .has_systemd = systemd::is_running(),
      .pid_file_place = pid_file ? find_pid_file_place(*pid_file) : PidFilePlace::good,
      .network = network ? std::optional(find_network_facts(*network)) : std::nullopt,
      .namespaces = find_namespaces(spec),
      .joined_vm = {},
      .window = find_caller_window(),
      .owner = find_owner(),
      .now = rfc3339_now(),
      .vm_id = hypervisor::new_vm_id(),
      .secret = random_hex(16)};
  facts.joined_vm = choose_vm(facts.network, facts.namespaces);
  // Measuring takes 5 ms: done for a VM that needs the figure only.
  if (facts.accelerator == hypervisor::Accelerator::tcg && !is_joining(facts))
    facts.tsc_khz = hypervisor::measure_tsc_khz();
  if (!is_joining(facts) && !guestcomm::has_vhost_vsock())
    facts.vm_user = hypervisor::driver_for(config.uri).find_user();
  return facts;
}

}  // namespace husk::runtime
