// SPDX-License-Identifier: Apache-2.0
#include "lib/hypervisor/libvirt_api.hpp"

#include <array>
#include <string_view>

#include "lib/base/advice.hpp"
#include "lib/base/dynamic_library.hpp"
#include "lib/base/text.hpp"

namespace husk::hypervisor {
namespace {

constexpr std::size_t max_error_bytes = 1000;

LibvirtApi load_all() {
  const DynamicLibrary library(
      "libvirt.so.0",
      std::string("libvirt is not installed (libvirt.so.0 cannot be loaded); ") + advice::libvirt);
  LibvirtApi api;
  library.load("virConnectOpen", api.connect_open);
  library.load("virConnectClose", api.connect_close);
  library.load("virConnectGetLibVersion", api.connect_get_lib_version);
  library.load("virDomainCreateXML", api.domain_create_xml);
  library.load("virDomainDefineXML", api.domain_define_xml);
  library.load("virDomainCreate", api.domain_create);
  library.load("virDomainUndefine", api.domain_undefine);
  library.load("virDomainLookupByName", api.domain_lookup_by_name);
  library.load("virDomainDestroy", api.domain_destroy);
  library.load("virDomainFree", api.domain_free);
  library.load("virDomainGetXMLDesc", api.domain_get_xml_desc);
  library.load("virDomainGetInfo", api.domain_get_info);
  library.load("virDomainAttachDeviceFlags", api.domain_attach_device_flags);
  library.load("virDomainUpdateDeviceFlags", api.domain_update_device_flags);
  library.load("virDomainDetachDeviceFlags", api.domain_detach_device_flags);
  library.load("virDomainSetMetadata", api.domain_set_metadata);
  library.load("virGetLastError", api.get_last_error);
  library.load("virSetErrorFunc", api.set_error_func);
  // libvirt prints to stderr by default, which is the container's or the caller's.
  api.set_error_func(nullptr, [](void*, virErrorPtr) {});
  return api;
}

void replace_all(std::string& text, std::string_view from, std::string_view to) {
  for (std::size_t at = text.find(from); at != std::string::npos;
       at = text.find(from, at + to.size())) {
    text.replace(at, from.size(), to);
  }
}

/// Docker and Podman read these phrases as statements about the container's command.
std::string neutralize(std::string text) {
  static constexpr std::array<std::array<std::string_view, 2>, 6> phrases{{
      {"o such file or directory", "ot found"},
      {"ermission denied", "ccess refused"},
      {"ot a directory", "o directory"},
      {"s a directory", "s no file"},
      {"peration not permitted", "peration refused"},
      {"xecutable file not found", "rogram not found"},
  }};
  for (const auto& [from, to] : phrases) replace_all(text, from, to);
  return one_line(text.substr(0, max_error_bytes));
}

}  // namespace

const LibvirtApi& libvirt() {
  static const LibvirtApi api = load_all();
  return api;
}

Error libvirt_error(const std::string& doing) {
  const virErrorPtr error = libvirt().get_last_error();
  const std::string text =
      error != nullptr && error->message != nullptr ? error->message : "unknown error";
  return {Errc::system, doing + ": " + neutralize(text)};
}

bool is_no_domain_error() {
  const virErrorPtr error = libvirt().get_last_error();
  return error != nullptr && error->code == VIR_ERR_NO_DOMAIN;
}

bool is_refused_capability() {
  const virErrorPtr error = libvirt().get_last_error();
  return error != nullptr && error->message != nullptr &&
         std::string_view(error->message).find("invalid qemu namespace capability") !=
             std::string_view::npos;
}

}  // namespace husk::hypervisor
