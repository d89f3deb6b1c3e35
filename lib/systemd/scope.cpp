// SPDX-License-Identifier: Apache-2.0
#include "lib/systemd/scope.hpp"

#include <unistd.h>

#include <chrono>
#include <exception>

#include "lib/base/error.hpp"
#include "lib/base/log.hpp"
#include "lib/systemd/sd_bus_api.hpp"

namespace husk::systemd {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

constexpr auto patience = 30s;
constexpr const char* service = "org.freedesktop.systemd1";
constexpr const char* object = "/org/freedesktop/systemd1";
constexpr const char* manager = "org.freedesktop.systemd1.Manager";
constexpr const char* private_address = "unix:path=/run/systemd/private";
constexpr const char* unit_exists = "org.freedesktop.systemd1.UnitExists";

void check_bus(int result, const std::string& doing) {
  if (result < 0) throw_errno("systemd: " + doing, -result);
}

/// systemd's own socket for root, as systemctl uses it: it works without a D-Bus daemon.
Bus connect_private() {
  ::sd_bus* raw = nullptr;
  check_bus(api().bus_new(&raw), "make a connection");
  Bus bus{raw};
  check_bus(api().set_address(bus.get(), private_address), "set the address");
  return api().start(bus.get()) < 0 ? Bus{} : std::move(bus);
}

Bus connect() {
  if (Bus bus = connect_private()) return bus;
  ::sd_bus* raw = nullptr;
  check_bus(api().open_system(&raw), "connect to D-Bus");
  return Bus{raw};
}

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

Message new_call(::sd_bus* bus, const char* method) {
  sd_bus_message* raw = nullptr;
  check_bus(api().new_method_call(bus, &raw, service, object, manager, method), method);
  return Message{raw};
}

/// Sends it and returns the answer; empty, with `error` set, when systemd refused.
Message send_call(::sd_bus* bus, const Message& call, BusError& error) {
  sd_bus_message* raw = nullptr;
  const auto limit = std::chrono::microseconds(patience).count();
  const int result =
      api().call(bus, call.get(), static_cast<std::uint64_t>(limit), error.get(), &raw);
  return result < 0 ? Message{} : Message{raw};
}

/// One "(sv)" of the properties' array.
class PropertyWriter {
 public:
  explicit PropertyWriter(sd_bus_message* message) : message_(message) {}

  void add(const UnitProperty& property) {
    name_ = property.name.c_str();
    std::visit([this](const auto& value) { write(value); }, property.value);
  }
  void add_pid(pid_t pid) {
    check_bus(api().append(message_, "(sv)", "PIDs", "au", 1, static_cast<std::uint32_t>(pid)),
              "PIDs");
  }

 private:
  // D-Bus passes booleans as int.
  void write(bool value) { append("b", static_cast<int>(value)); }
  void write(std::int32_t value) { append("i", value); }
  void write(std::uint32_t value) { append("u", value); }
  void write(std::int64_t value) { append("x", value); }
  void write(std::uint64_t value) { append("t", value); }
  void write(double value) { append("d", value); }
  void write(const std::string& value) { append("s", value.c_str()); }
  void write(const std::vector<std::string>& values) {
    std::vector<char*> list;
    list.reserve(values.size() + 1);
    for (const std::string& one : values) list.push_back(const_cast<char*>(one.c_str()));
    list.push_back(nullptr);
    check_bus(api().open_container(message_, 'r', "sv"), name_);
    check_bus(api().append(message_, "s", name_), name_);
    check_bus(api().open_container(message_, 'v', "as"), name_);
    check_bus(api().append_strv(message_, list.data()), name_);
    check_bus(api().close_container(message_), name_);
    check_bus(api().close_container(message_), name_);
  }
  template <typename Value>
  void append(const char* type, Value value) {
    check_bus(api().append(message_, "(sv)", name_, type, value), name_);
  }

  sd_bus_message* message_;
  const char* name_ = nullptr;
};

/// What runc sets on its units, for the tools that read them.
std::vector<UnitProperty> own_properties(const ScopePlan& plan) {
  const bool is_slice = plan.name.ends_with(".slice");
  std::vector<UnitProperty> properties{
      {"Description", plan.description}, {"MemoryAccounting", true},
      {"CPUAccounting", true},           {"IOAccounting", true},
      {"TasksAccounting", true},         {"DefaultDependencies", false}};
  if (is_slice) {
    properties.push_back({"Wants", std::vector<std::string>{plan.slice}});
  } else {
    properties.push_back({"Slice", plan.slice});
    properties.push_back({"Delegate", true});  // what is below the scope is husk's
  }
  return properties;
}

Message make_start_call(::sd_bus* bus, const ScopePlan& plan, pid_t pid) {
  Message call = new_call(bus, "StartTransientUnit");
  check_bus(api().append(call.get(), "ss", plan.name.c_str(), "replace"), plan.name);
  check_bus(api().open_container(call.get(), 'a', "(sv)"), "properties");
  PropertyWriter writer(call.get());
  for (const UnitProperty& property : own_properties(plan)) writer.add(property);
  for (const UnitProperty& property : plan.properties) writer.add(property);
  if (!plan.name.ends_with(".slice")) writer.add_pid(pid);
  check_bus(api().close_container(call.get()), "properties");
  check_bus(api().append(call.get(), "a(sa(sv))", 0), "auxiliary units");
  return call;
}

/// Collects the ends of jobs from before the job is asked for, so that none is missed.
class JobWatch {
 public:
  explicit JobWatch(::sd_bus* bus) : bus_(bus) {
    check_bus(
        api().match_signal(bus_, nullptr, service, object, manager, "JobRemoved", on_removed, this),
        "listen for jobs");
    BusError ignored;  // systemd's own socket needs no subscription and may say so
    send_call(bus_, new_call(bus_, "Subscribe"), ignored);
  }
  JobWatch(const JobWatch&) = delete;
  JobWatch& operator=(const JobWatch&) = delete;

  /// "done", "failed", "timeout", ...
  std::string wait(const std::string& job) {
    const auto end = Clock::now() + patience;
    for (;;) {
      for (const auto& [path, result] : removed_) {
        if (path == job) return result;
      }
      const int processed = api().process(bus_, nullptr);
      check_bus(processed, "wait for " + job);
      if (processed > 0) continue;
      const auto left = std::chrono::ceil<std::chrono::microseconds>(end - Clock::now()).count();
      if (left <= 0) throw Error(Errc::timed_out, "systemd does not finish in time");
      check_bus(api().wait(bus_, static_cast<std::uint64_t>(left)), "wait for " + job);
    }
  }

 private:
  static int on_removed(sd_bus_message* message, void* self, sd_bus_error*) {
    std::uint32_t number = 0;
    const char *path = nullptr, *unit = nullptr, *result = nullptr;
    if (api().read(message, "uoss", &number, &path, &unit, &result) >= 0)
      static_cast<JobWatch*>(self)->removed_.emplace_back(path, result);
    return 0;
  }

  ::sd_bus* bus_;
  std::vector<std::pair<std::string, std::string>> removed_;
};

std::string job_of(const Message& answer) {
  const char* job = nullptr;
  check_bus(api().read(answer.get(), "o", &job), "read the answer");
  return job;
}

void call_on_unit(::sd_bus* bus, const char* method, const std::string& unit) {
  const Message call = new_call(bus, method);
  check_bus(api().append(call.get(), "s", unit.c_str()), unit);
  BusError ignored;
  send_call(bus, call, ignored);
}

Message ask_to_start(::sd_bus* bus, const ScopePlan& plan, pid_t pid) {
  for (const bool last_attempt : {false, true}) {
    BusError error;
    Message answer = send_call(bus, make_start_call(bus, plan, pid), error);
    if (answer) return answer;
    if (last_attempt || !error.is(unit_exists)) throw Error(Errc::system, error.text());
    call_on_unit(bus, "ResetFailedUnit", plan.name);  // one that failed stays until it is reset
  }
  return {};
}

}  // namespace

bool is_running() { return ::access("/run/systemd/system/", F_OK) == 0; }

void start_scope(const ScopePlan& plan, pid_t pid) {
  const Bus bus = connect();
  JobWatch jobs(bus.get());
  step("systemd: start unit " + plan.name, [&] {
    const std::string result = jobs.wait(job_of(ask_to_start(bus.get(), plan, pid)));
    if (result != "done") throw Error(Errc::system, "the job ended as \"" + result + "\"");
  });
}

void stop_scope(const std::string& name) noexcept {
  try {
    const Bus bus = connect();
    JobWatch jobs(bus.get());
    const Message call = new_call(bus.get(), "StopUnit");
    check_bus(api().append(call.get(), "ss", name.c_str(), "replace"), name);
    BusError error;  // usually: no such unit, since a scope goes with its last process
    if (const Message answer = send_call(bus.get(), call, error)) jobs.wait(job_of(answer));
    call_on_unit(bus.get(), "ResetFailedUnit", name);
  } catch (const std::exception& e) {
    log(LogLevel::debug, "stop unit " + name + ": " + e.what());
  }
}

}  // namespace husk::systemd
