// SPDX-License-Identifier: Apache-2.0
#include "lib/systemd/manager.hpp"

#include "lib/base/error.hpp"

namespace husk::systemd {
namespace {

using Clock = std::chrono::steady_clock;

constexpr const char* service = "org.freedesktop.systemd1";
constexpr const char* object = "/org/freedesktop/systemd1";
constexpr const char* manager = "org.freedesktop.systemd1.Manager";
constexpr const char* unit_interface = "org.freedesktop.systemd1.Unit";
constexpr const char* properties_interface = "org.freedesktop.DBus.Properties";
constexpr const char* no_such_unit = "org.freedesktop.systemd1.NoSuchUnit";
constexpr const char* private_address = "unix:path=/run/systemd/private";

Bus connect_private() {
  ::sd_bus* raw = nullptr;
  check_bus(api().bus_new(&raw), "make a connection");
  Bus bus{raw};
  check_bus(api().set_address(bus.get(), private_address), "set the address");
  return api().start(bus.get()) < 0 ? Bus{} : std::move(bus);
}

/// The object of a unit that is loaded.
std::optional<std::string> find_object(::sd_bus* bus, const std::string& unit) {
  const Message call = new_call(bus, "GetUnit");
  check_bus(api().append(call.get(), "s", unit.c_str()), unit);
  BusError error;
  const Message answer = send_call(bus, call, error);
  if (!answer && error.is(no_such_unit)) return std::nullopt;
  if (!answer) throw Error(Errc::system, "systemd: find the unit: " + error.text());
  const char* path = nullptr;
  check_bus(api().read(answer.get(), "o", &path), "read the answer");
  return path;
}

template <typename Value>
constexpr const char* type_of() {
  if constexpr (std::is_same_v<Value, std::int32_t>) return "i";
  if constexpr (std::is_same_v<Value, std::uint32_t>) return "u";
  if constexpr (std::is_same_v<Value, std::int64_t>) return "x";
  if constexpr (std::is_same_v<Value, std::uint64_t>) return "t";
  return "d";
}

}  // namespace

void check_bus(int result, const std::string& doing) {
  if (result < 0) throw_errno("systemd: " + doing, -result);
}

Bus connect_to_manager() {
  if (Bus bus = connect_private()) return bus;
  ::sd_bus* raw = nullptr;
  check_bus(api().open_system(&raw), "connect to D-Bus");
  return Bus{raw};
}

Message new_call(::sd_bus* bus, const char* method) {
  sd_bus_message* raw = nullptr;
  check_bus(api().new_method_call(bus, &raw, service, object, manager, method), method);
  return Message{raw};
}

Message send_call(::sd_bus* bus, const Message& call, BusError& error,
                  std::chrono::microseconds limit) {
  sd_bus_message* raw = nullptr;
  const int result =
      api().call(bus, call.get(), static_cast<std::uint64_t>(limit.count()), error.get(), &raw);
  return result < 0 ? Message{} : Message{raw};
}

void call_on_unit(::sd_bus* bus, const char* method, const std::string& unit) {
  const Message call = new_call(bus, method);
  check_bus(api().append(call.get(), "s", unit.c_str()), unit);
  BusError ignored;
  send_call(bus, call, ignored);
}

std::optional<std::string> find_description(::sd_bus* bus, const std::string& unit) {
  const auto path = find_object(bus, unit);
  if (!path) return std::nullopt;
  sd_bus_message* raw = nullptr;
  check_bus(api().new_method_call(bus, &raw, service, path->c_str(), properties_interface, "Get"),
            "Get");
  const Message call{raw};
  check_bus(api().append(call.get(), "ss", unit_interface, "Description"), unit);
  BusError error;
  const Message answer = send_call(bus, call, error);
  if (!answer) throw Error(Errc::system, "systemd: read the description: " + error.text());
  const char* text = nullptr;
  check_bus(api().read(answer.get(), "v", "s", &text), "read the description");
  return text;
}

void PropertyWriter::add(const UnitProperty& property) {
  name_ = property.name.c_str();
  std::visit([this](const auto& value) { write(value); }, property.value);
}

void PropertyWriter::add_pid(pid_t pid) {
  check_bus(api().append(message_, "(sv)", "PIDs", "au", 1, static_cast<std::uint32_t>(pid)),
            "PIDs");
}

void PropertyWriter::add_program(const std::vector<std::string>& command) {
  name_ = "ExecStart";
  check_bus(api().open_container(message_, 'r', "sv"), name_);
  check_bus(api().append(message_, "s", name_), name_);
  check_bus(api().open_container(message_, 'v', "a(sasb)"), name_);
  check_bus(api().open_container(message_, 'a', "(sasb)"), name_);
  check_bus(api().open_container(message_, 'r', "sasb"), name_);
  check_bus(api().append(message_, "s", command.at(0).c_str()), name_);
  append_strings(command);
  check_bus(api().append(message_, "b", 0), name_);  // a failure is a failure
  for (int level = 0; level < 4; ++level) check_bus(api().close_container(message_), name_);
}

void PropertyWriter::add_descriptor(const char* name, int fd) {
  check_bus(api().append(message_, "(sv)", name, "h", fd), name);
}

void PropertyWriter::append_strings(const std::vector<std::string>& values) {
  std::vector<char*> list;
  list.reserve(values.size() + 1);
  for (const std::string& one : values) list.push_back(const_cast<char*>(one.c_str()));
  list.push_back(nullptr);
  check_bus(api().append_strv(message_, list.data()), name_);
}

void PropertyWriter::write(const std::vector<std::string>& values) {
  check_bus(api().open_container(message_, 'r', "sv"), name_);
  check_bus(api().append(message_, "s", name_), name_);
  check_bus(api().open_container(message_, 'v', "as"), name_);
  append_strings(values);
  check_bus(api().close_container(message_), name_);
  check_bus(api().close_container(message_), name_);
}

void PropertyWriter::write(const std::string& value) { append("s", value.c_str()); }

// D-Bus passes booleans as int.
void PropertyWriter::write(bool value) { append("b", static_cast<int>(value)); }

template <typename Value>
requires std::is_arithmetic_v<Value>
void PropertyWriter::write(Value value) { append(type_of<Value>(), value); }

template <typename Value>
void PropertyWriter::append(const char* type, Value value) {
  check_bus(api().append(message_, "(sv)", name_, type, value), name_);
}

JobWatch::JobWatch(::sd_bus* bus) : bus_(bus) {
  check_bus(
      api().match_signal(bus_, nullptr, service, object, manager, "JobRemoved", on_removed, this),
      "listen for jobs");
  BusError ignored;  // systemd's own socket needs no subscription and may say so
  send_call(bus_, new_call(bus_, "Subscribe"), ignored);
}

std::string JobWatch::wait(const std::string& job, std::chrono::microseconds limit) {
  const auto end = Clock::now() + limit;
  for (;;) {
    for (const auto& [path, result] : removed_) {
      if (path == job) return result;
    }
    const int processed = api().process(bus_, nullptr);
    check_bus(processed, "wait for " + job);
    if (processed > 0) continue;
    const auto left = std::chrono::ceil<std::chrono::microseconds>(end - Clock::now()).count();
    if (left <= 0) throw Error(Errc::timed_out, "systemd did not finish the job in time");
    check_bus(api().wait(bus_, static_cast<std::uint64_t>(left)), "wait for " + job);
  }
}

int JobWatch::on_removed(sd_bus_message* message, void* self, sd_bus_error*) {
  std::uint32_t number = 0;
  const char *path = nullptr, *unit = nullptr, *result = nullptr;
  if (api().read(message, "uoss", &number, &path, &unit, &result) >= 0)
    static_cast<JobWatch*>(self)->removed_.emplace_back(path, result);
  return 0;
}

std::string job_of(const Message& answer) {
  const char* job = nullptr;
  check_bus(api().read(answer.get(), "o", &job), "read the answer");
  return job;
}

}  // namespace husk::systemd
