// SPDX-License-Identifier: Apache-2.0
// The few functions of sd-bus that husk calls, loaded when first needed: hosts without systemd have
// no use for the library, and linking it would cost every start of husk some milliseconds. Private
// to lib/systemd.
#pragma once

#include <systemd/sd-bus.h>

#include <memory>

namespace husk::systemd {

struct SdBusApi {
  decltype(&::sd_bus_new) bus_new = nullptr;
  decltype(&::sd_bus_set_address) set_address = nullptr;
  decltype(&::sd_bus_start) start = nullptr;
  decltype(&::sd_bus_open_system) open_system = nullptr;
  decltype(&::sd_bus_flush_close_unref) close = nullptr;
  decltype(&::sd_bus_match_signal) match_signal = nullptr;
  decltype(&::sd_bus_process) process = nullptr;
  decltype(&::sd_bus_wait) wait = nullptr;
  decltype(&::sd_bus_call) call = nullptr;
  decltype(&::sd_bus_error_free) error_free = nullptr;
  decltype(&::sd_bus_message_new_method_call) new_method_call = nullptr;
  decltype(&::sd_bus_message_append) append = nullptr;
  decltype(&::sd_bus_message_append_strv) append_strv = nullptr;
  decltype(&::sd_bus_message_open_container) open_container = nullptr;
  decltype(&::sd_bus_message_close_container) close_container = nullptr;
  decltype(&::sd_bus_message_read) read = nullptr;
  decltype(&::sd_bus_message_unref) unref = nullptr;
};

/// Throws unsupported "libsystemd.so.0 cannot be loaded ...".
const SdBusApi& api();

struct BusDeleter {
  void operator()(sd_bus* bus) const noexcept { api().close(bus); }
};
using Bus = std::unique_ptr<::sd_bus, BusDeleter>;

struct MessageDeleter {
  void operator()(sd_bus_message* message) const noexcept { api().unref(message); }
};
using Message = std::unique_ptr<sd_bus_message, MessageDeleter>;

}  // namespace husk::systemd
