// SPDX-License-Identifier: Apache-2.0
#include "ch/create_request.hpp"

#include <nlohmann/json.hpp>

#include "lib/base/error.hpp"

namespace husk::ch {
namespace {

using nlohmann::json;

constexpr std::uint64_t mib = 1U << 20;
/// A virtio-fs device has one queue for requests. The size is that of QEMU's device (lib/hypervisor/domain_xml.cpp).
constexpr unsigned queues = 1, queue_size = 1024;

[[noreturn]] void refuse(const std::string& what) {
  throw Error(Errc::invalid_argument, "vm.create: " + what);
}

/// Moves `old`.`part`, of Cloud Hypervisor before 28, to payload.`name`.
void move_to_payload(json& vm, const char* old, const char* part, const char* name) {
  const auto found = vm.find(old);
  if (found == vm.end()) return;
  if (!found->is_object() || !found->contains(part) || !(*found)[part].is_string())
    refuse(std::string(old) + " has no " + part);
  const std::string value = (*found)[part];
  vm["payload"][name] = value;
  vm.erase(old);
}

void complete_payload(json& vm) {
  if (!vm.contains("payload")) {
    move_to_payload(vm, "kernel", "path", "kernel");
    move_to_payload(vm, "cmdline", "args", "cmdline");
    move_to_payload(vm, "initramfs", "path", "initramfs");
  }
  const auto payload = vm.find("payload");
  if (payload == vm.end() || !payload->is_object() || !payload->contains("kernel") ||
      !(*payload)["kernel"].is_string())
    refuse("names no kernel");
}

void complete_memory(json& vm, std::uint64_t hotplug_mib) {
  const auto memory = vm.find("memory");
  if (memory == vm.end() || !memory->is_object() || !memory->contains("size"))
    refuse("has no memory.size");
  (*memory)["shared"] = true;  // cannot be changed later
  if (hotplug_mib == 0) return;
  (*memory)["hotplug_method"] = "VirtioMem";
  (*memory)["hotplug_size"] = hotplug_mib * mib;
}

}  // namespace

std::string complete_create_request(std::string_view body, const Additions& additions) {
  json vm = json::parse(body, nullptr, /*allow_exceptions=*/false);
  if (!vm.is_object()) refuse("is no JSON object");
  // A libvirt that says something of them has learnt it since, and knows more than husk.
  for (const char* field : {"fs", "vsock"})
    if (vm.contains(field)) refuse(std::string("has ") + field + " already");
  complete_payload(vm);
  complete_memory(vm, additions.memory_hotplug_mib);
  for (const FileServer& server : additions.file_servers)
    vm["fs"].push_back({{"tag", server.tag},
                        {"socket", server.socket},
                        {"num_queues", queues},
                        {"queue_size", queue_size}});
  vm["vsock"] = {{"cid", additions.vsock_cid}, {"socket", additions.vsock_socket}};
  vm["serial"] = {{"mode", "File"}, {"file", additions.serial_file}};
  // Otherwise Cloud Hypervisor makes a console that is its standard output.
  vm["console"] = {{"mode", "Off"}};
  vm["landlock_enable"] = true;
  for (const LandlockRule& rule : additions.landlock)
    vm["landlock_rules"].push_back({{"path", rule.path}, {"access", rule.access}});
  return vm.dump(-1, ' ', false, json::error_handler_t::replace);
}

}  // namespace husk::ch
