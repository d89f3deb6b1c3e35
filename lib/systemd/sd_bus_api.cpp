// SPDX-License-Identifier: Apache-2.0
#include "lib/systemd/sd_bus_api.hpp"

#include <dlfcn.h>

#include <string>

#include "lib/base/error.hpp"

namespace husk::systemd {
namespace {

template <typename Function>
void load(void* library, const char* name, Function& function) {
  // POSIX dlsym(3): the only way to turn an object pointer into a function pointer.
  function = reinterpret_cast<Function>(::dlsym(library, name));
  if (function == nullptr) {
    throw Error(Errc::unsupported,
                std::string("libsystemd on this host is too old: it has no ") + name);
  }
}

SdBusApi load_all() {
  void* library = ::dlopen("libsystemd.so.0", RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr)
    throw Error(Errc::unsupported, "--systemd-cgroup: libsystemd.so.0 cannot be loaded");
  SdBusApi api;
  load(library, "sd_bus_new", api.bus_new);
  load(library, "sd_bus_set_address", api.set_address);
  load(library, "sd_bus_start", api.start);
  load(library, "sd_bus_open_system", api.open_system);
  load(library, "sd_bus_flush_close_unref", api.close);
  load(library, "sd_bus_match_signal", api.match_signal);
  load(library, "sd_bus_process", api.process);
  load(library, "sd_bus_wait", api.wait);
  load(library, "sd_bus_call", api.call);
  load(library, "sd_bus_error_free", api.error_free);
  load(library, "sd_bus_message_new_method_call", api.new_method_call);
  load(library, "sd_bus_message_append", api.append);
  load(library, "sd_bus_message_append_strv", api.append_strv);
  load(library, "sd_bus_message_open_container", api.open_container);
  load(library, "sd_bus_message_close_container", api.close_container);
  load(library, "sd_bus_message_read", api.read);
  load(library, "sd_bus_message_unref", api.unref);
  return api;
}

}  // namespace

const SdBusApi& api() {
  static const SdBusApi loaded = load_all();
  return loaded;
}

}  // namespace husk::systemd
