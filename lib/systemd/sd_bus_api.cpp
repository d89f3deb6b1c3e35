// SPDX-License-Identifier: Apache-2.0
#include "lib/systemd/sd_bus_api.hpp"

#include "lib/base/dynamic_library.hpp"

namespace husk::systemd {
namespace {

SdBusApi load_all() {
  const DynamicLibrary library("libsystemd.so.0", "libsystemd.so.0 cannot be loaded");
  SdBusApi api;
  library.load("sd_bus_new", api.bus_new);
  library.load("sd_bus_set_address", api.set_address);
  library.load("sd_bus_start", api.start);
  library.load("sd_bus_open_system", api.open_system);
  library.load("sd_bus_flush_close_unref", api.close);
  library.load("sd_bus_match_signal", api.match_signal);
  library.load("sd_bus_process", api.process);
  library.load("sd_bus_wait", api.wait);
  library.load("sd_bus_call", api.call);
  library.load("sd_bus_error_free", api.error_free);
  library.load("sd_bus_message_new_method_call", api.new_method_call);
  library.load("sd_bus_message_append", api.append);
  library.load("sd_bus_message_append_strv", api.append_strv);
  library.load("sd_bus_message_open_container", api.open_container);
  library.load("sd_bus_message_close_container", api.close_container);
  library.load("sd_bus_message_read", api.read);
  library.load("sd_bus_message_unref", api.unref);
  return api;
}

}  // namespace

const SdBusApi& api() {
  static const SdBusApi loaded = load_all();
  return loaded;
}

}  // namespace husk::systemd
