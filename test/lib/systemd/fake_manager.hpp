// SPDX-License-Identifier: Apache-2.0
// systemd's manager as far as husk asks it: a D-Bus server at /run/systemd/private that knows units by
// name and description.
#pragma once

#include <systemd/sd-bus.h>

#include <atomic>
#include <map>
#include <mutex>
#include <string>
#include <thread>

#include "lib/base/unique_fd.hpp"

namespace husk::systemd {

/// Answers until it is destroyed, one connection at a time. It puts the calling thread, and the
/// threads that this one makes, into a mount namespace with a /run of their own.
class FakeManager {
 public:
  FakeManager();
  FakeManager(const FakeManager&) = delete;
  FakeManager& operator=(const FakeManager&) = delete;
  ~FakeManager();

  /// Somebody else's unit, active from now on.
  void add(const std::string& unit, const std::string& description);
  /// The units that are active, with their descriptions.
  std::map<std::string, std::string> units() const;

 private:
  void serve();
  void serve_connection(int fd);
  static int on_message(sd_bus_message* message, void* self, sd_bus_error* error);
  int answer(sd_bus_message* call);
  int start(sd_bus_message* call);
  int stop(sd_bus_message* call);
  int get_unit(sd_bus_message* call) const;
  int get_description(sd_bus_message* call) const;
  int finish_job(sd_bus_message* call, const std::string& unit);

  mutable std::mutex mutex_;
  std::map<std::string, std::string> units_;
  unsigned jobs_ = 0;
  std::atomic<bool> ending_ = false;
  UniqueFd listener_;
  std::thread thread_;
};

}  // namespace husk::systemd
