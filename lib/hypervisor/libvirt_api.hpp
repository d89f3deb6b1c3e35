// SPDX-License-Identifier: Apache-2.0
// The few functions of libvirt that husk calls, loaded when first needed: linking the library would
// cost every start of husk 13 ms. Private to lib/hypervisor.
#pragma once

#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>

#include <memory>
#include <string>

#include "lib/base/error.hpp"

namespace husk::hypervisor {

struct LibvirtApi {
  decltype(&::virConnectOpen) connect_open = nullptr;
  decltype(&::virConnectClose) connect_close = nullptr;
  decltype(&::virConnectGetLibVersion) connect_get_lib_version = nullptr;
  decltype(&::virDomainCreateXML) domain_create_xml = nullptr;
  decltype(&::virDomainDefineXML) domain_define_xml = nullptr;
  decltype(&::virDomainCreate) domain_create = nullptr;
  decltype(&::virDomainUndefine) domain_undefine = nullptr;
  decltype(&::virDomainLookupByName) domain_lookup_by_name = nullptr;
  decltype(&::virDomainDestroy) domain_destroy = nullptr;
  decltype(&::virDomainFree) domain_free = nullptr;
  decltype(&::virDomainGetXMLDesc) domain_get_xml_desc = nullptr;
  decltype(&::virDomainGetInfo) domain_get_info = nullptr;
  decltype(&::virDomainAttachDeviceFlags) domain_attach_device_flags = nullptr;
  decltype(&::virDomainUpdateDeviceFlags) domain_update_device_flags = nullptr;
  decltype(&::virDomainDetachDeviceFlags) domain_detach_device_flags = nullptr;
  decltype(&::virDomainSetMetadata) domain_set_metadata = nullptr;
  decltype(&::virGetLastError) get_last_error = nullptr;
  decltype(&::virSetErrorFunc) set_error_func = nullptr;
};

/// Throws unsupported "libvirt is not installed ...".
const LibvirtApi& libvirt();

/// What libvirt said last, as an Error of ours: one line, bounded, without the phrases that callers
/// take for a missing or forbidden command (contract section 2).
Error libvirt_error(const std::string& doing);

/// Whether the last error says that there is no such domain.
bool is_no_domain_error();
/// Whether it says that libvirt does not know a name in <qemu:capabilities>.
bool is_refused_capability();

struct ConnectionDeleter {
  void operator()(virConnectPtr connection) const noexcept { libvirt().connect_close(connection); }
};
using Connection = std::unique_ptr<virConnect, ConnectionDeleter>;

struct DomainDeleter {
  void operator()(virDomainPtr domain) const noexcept { libvirt().domain_free(domain); }
};
using Domain = std::unique_ptr<virDomain, DomainDeleter>;

}  // namespace husk::hypervisor
