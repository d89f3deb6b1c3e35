// SPDX-License-Identifier: Apache-2.0
// Calls of systemd's manager over D-Bus: org.freedesktop.systemd1(5). Private to lib/systemd.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lib/systemd/sd_bus_api.hpp"
#include "lib/systemd/unit_property.hpp"

namespace husk::systemd {

/// How long systemd may take for an answer, and for a job.
constexpr std::chrono::seconds patience{30};

/// Throws system with `doing` for a negative result of sd-bus.
void check_bus(int result, const std::string& doing);

/// Connects to systemd's own socket for root, as systemctl does, which works without a D-Bus daemon; else
/// to the system bus. Throws system.
Bus connect_to_manager();

/// An error answer of systemd, freed with its owner.
class BusError {
 public:
  BusError() = default;
  BusError(const BusError&) = delete;
  BusError& operator=(const BusError&) = delete;
  ~BusError() { api().error_free(&error_); }
  sd_bus_error* get() { return &error_; }
  bool is(const char* name) const {
    return error_.name != nullptr && std::string_view(error_.name) == name;
  }
  std::string text() const { return error_.message != nullptr ? error_.message : "no answer"; }

 private:
  sd_bus_error error_{};
};

/// A method call of the manager, without arguments. Throws system.
Message new_call(::sd_bus* bus, const char* method);

/// Sends `call` and returns the answer; empty, with `error` set, when systemd refused, or did not
/// answer within `limit`.
Message send_call(::sd_bus* bus, const Message& call, BusError& error,
                  std::chrono::microseconds limit = patience);

/// Calls a method that takes the unit's name alone; a refusal is fine.
void call_on_unit(::sd_bus* bus, const char* method, const std::string& unit);

/// The Description of a unit that is loaded; empty: systemd knows no such unit. Throws system where
/// systemd does not answer.
std::optional<std::string> find_description(::sd_bus* bus, const std::string& unit);

/// Writes one "(sv)" after the other into the array of properties of a call.
class PropertyWriter {
 public:
  explicit PropertyWriter(sd_bus_message* message) : message_(message) {}
  void add(const UnitProperty& property);
  /// A scope's process. Throws system, as do the others.
  void add_pid(pid_t pid);
  /// ExecStart: one program, by its absolute path, with its arguments.
  void add_program(const std::vector<std::string>& command);
  /// Adds a property such as "StandardInputFileDescriptor"; the descriptor stays the caller's.
  void add_descriptor(const char* name, int fd);

 private:
  void append_strings(const std::vector<std::string>& values);
  void write(const std::vector<std::string>& values);
  void write(const std::string& value);
  void write(bool value);
  template <typename Value>
  requires std::is_arithmetic_v<Value>
  void write(Value value);
  template <typename Value>
  void append(const char* type, Value value);

  sd_bus_message* message_;
  const char* name_ = nullptr;
};

/// Collects the ends of jobs from before the job is asked for, so that none is missed.
class JobWatch {
 public:
  explicit JobWatch(::sd_bus* bus);
  JobWatch(const JobWatch&) = delete;
  JobWatch& operator=(const JobWatch&) = delete;
  /// "done", "failed", "timeout", ... Throws timed_out, system.
  std::string wait(const std::string& job, std::chrono::microseconds limit = patience);

 private:
  static int on_removed(sd_bus_message* message, void* self, sd_bus_error*);
  ::sd_bus* bus_;
  std::vector<std::pair<std::string, std::string>> removed_;
};

/// The job that StartTransientUnit or StopUnit answered with. Throws system.
std::string job_of(const Message& answer);

}  // namespace husk::systemd
