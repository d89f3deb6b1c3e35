// SPDX-License-Identifier: Apache-2.0
#include "ch/vm_config.hpp"

#include <nlohmann/json.hpp>
#include <optional>

#include "lib/base/error.hpp"
#include "lib/base/text.hpp"
#include "lib/oci/bundle.hpp"

namespace husk::ch {
namespace {

using nlohmann::json;

constexpr const char* vm_create = "vm.create";

[[noreturn]] void refuse_config(const std::string& key, const std::string& why) {
  throw Error(Errc::invalid_argument, std::string(vm_create) + ": " + key + ": " + why);
}

/// null is absent to Cloud Hypervisor, whose fields are optional.
const json* find(const json& object, const char* key) {
  const auto found = object.find(key);
  return found == object.end() || found->is_null() ? nullptr : &*found;
}

std::string get_string(const json& object, const char* key, const std::string& path) {
  const json* const member = find(object, key);
  if (member == nullptr) refuse_config(path, "missing");
  if (!member->is_string()) refuse_config(path, "not a string");
  if (member->get_ref<const std::string&>().empty()) refuse_config(path, "empty");
  return member->get<std::string>();
}

/// One of libvirt 9.0's objects with one string in it: {"kernel": {"path": "..."}}.
std::optional<std::string> take_wrapped(json& config, const char* key, const char* inner) {
  const json* const object = find(config, key);
  if (object == nullptr) return std::nullopt;
  if (!object->is_object()) refuse_config(key, "not an object");
  std::string text = get_string(*object, inner, std::string(key) + "." + inner);
  config.erase(key);
  return text;
}

/// libvirt before 9.9 speaks to Cloud Hypervisor 15 to 27. Later ones drop its keys without a word, and then find no
/// payload when they boot.
void convert_payload(json& config) {
  json payload = json::object();
  if (auto kernel = take_wrapped(config, "kernel", "path")) payload["kernel"] = std::move(*kernel);
  if (auto text = take_wrapped(config, "cmdline", "args")) payload["cmdline"] = std::move(*text);
  if (auto initrd = take_wrapped(config, "initramfs", "path"))
    payload["initramfs"] = std::move(*initrd);
  if (!payload.contains("kernel")) refuse_config("payload.kernel", "missing");
  config["payload"] = std::move(payload);
}

void check_payload(const json& config) {
  for (const char* old : {"kernel", "cmdline", "initramfs"}) {
    if (find(config, old) != nullptr) refuse_config(old, "beside payload");
  }
  const json& payload = config["payload"];
  if (!payload.is_object()) refuse_config("payload", "not an object");
  get_string(payload, "kernel", "payload.kernel");
}

void share_memory(json& config, std::uint64_t hotplug_mib) {
  const json* const memory = find(config, "memory");
  if (memory == nullptr) refuse_config("memory", "missing");
  if (!memory->is_object()) refuse_config("memory", "not an object");
  if (find(*memory, "size") == nullptr) refuse_config("memory.size", "missing");
  config["memory"]["shared"] = true;  // the file server maps the guest's memory
  if (hotplug_mib == 0) return;
  config["memory"]["hotplug_method"] = "VirtioMem";
  config["memory"]["hotplug_size"] = hotplug_mib << 20;
}

void check_absent(const json& config, const char* key) {
  const json* const member = find(config, key);
  if (member != nullptr && !(member->is_array() && member->empty()))
    refuse_config(key, "there already, and husk adds its own");
}

/// A device that does something else is somebody's, who would miss it.
void check_no_terminal(const json& config, const char* key) {
  const json* const device = find(config, key);
  if (device == nullptr) return;
  if (!device->is_object()) refuse_config(key, "not an object");
  const std::string mode = get_string(*device, "mode", std::string(key) + ".mode");
  if (mode != "Off" && mode != "Null")
    refuse_config(key, "there already (mode " + quote(mode) + "), and husk adds its own");
}

json shared_directories(const Additions& additions) {
  json list = json::array();
  for (const SharedDirectory& directory : additions.fs)
    list.push_back({{"tag", directory.tag},
                    {"socket", directory.socket},
                    {"num_queues", 1},
                    {"queue_size", 1024}});
  return list;
}

json network_cards(const Additions& additions) {
  json list = json::array();
  for (const NetworkCard& card : additions.net)
    list.push_back({{"tap", card.tap}, {"mac", card.mac}});
  return list;
}

void add_landlock(json& config, const std::vector<LandlockRule>& rules) {
  check_absent(config, "landlock_rules");
  json list = json::array();
  for (const LandlockRule& rule : rules)
    list.push_back({{"path", rule.path}, {"access", rule.access}});
  config["landlock_enable"] = true;
  config["landlock_rules"] = std::move(list);
}

void add_devices(json& config, const Additions& additions) {
  for (const char* key : {"fs", "net", "vsock"}) check_absent(config, key);
  for (const char* key : {"serial", "console"}) check_no_terminal(config, key);
  if (!additions.fs.empty()) config["fs"] = shared_directories(additions);
  if (!additions.net.empty()) config["net"] = network_cards(additions);
  config["vsock"] = {{"cid", additions.vsock.cid}, {"socket", additions.vsock.socket}};
  config["serial"] = {{"mode", "File"}, {"file", additions.serial_file}};
  // Cloud Hypervisor's default is its standard output, which is libvirt's log.
  config["console"] = {{"mode", "Off"}};
  if (additions.pvpanic) config["pvpanic"] = true;
}

}  // namespace

std::string add_to_vm_config(std::string_view body, const Additions& additions) {
  json config = oci::parse_json(body, vm_create);
  if (!config.is_object()) refuse_config("the body", "not an object");
  share_memory(config, additions.memory_hotplug_mib);
  if (find(config, "payload") != nullptr)
    check_payload(config);
  else
    convert_payload(config);
  add_devices(config, additions);
  if (additions.landlock) add_landlock(config, *additions.landlock);
  return config.dump();
}

}  // namespace husk::ch
