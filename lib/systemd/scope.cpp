// SPDX-License-Identifier: Apache-2.0
#include "lib/systemd/scope.hpp"

#include <unistd.h>

#include <exception>

#include "lib/base/error.hpp"
#include "lib/base/log.hpp"
#include "lib/base/text.hpp"
#include "lib/systemd/manager.hpp"

namespace husk::systemd {
namespace {

constexpr const char* unit_exists = "org.freedesktop.systemd1.UnitExists";

/// The properties that runc sets on its units, for the tools that read them.
std::vector<UnitProperty> own_properties(const ScopePlan& plan) {
  const bool is_slice = plan.name.ends_with(".slice");
  std::vector<UnitProperty> properties{{"MemoryAccounting", true},
                                       {"CPUAccounting", true},
                                       {"IOAccounting", true},
                                       {"TasksAccounting", true},
                                       {"DefaultDependencies", false}};
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
  // The last of a name counts: the caller cannot give a Description by which stop_scope would not
  // know the unit.
  writer.add({"Description", plan.description});
  if (!plan.name.ends_with(".slice")) writer.add_pid(pid);
  check_bus(api().close_container(call.get()), "properties");
  check_bus(api().append(call.get(), "a(sa(sv))", 0), "auxiliary units");
  return call;
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
  const Bus bus = connect_to_manager();
  JobWatch jobs(bus.get());
  step("systemd: start unit " + plan.name, [&] {
    const std::string result = jobs.wait(job_of(ask_to_start(bus.get(), plan, pid)));
    if (result != "done") throw Error(Errc::system, "the job ended as \"" + result + "\"");
  });
}

void stop_scope(const std::string& name, const std::string& description) noexcept {
  try {
    const Bus bus = connect_to_manager();
    const auto found = find_description(bus.get(), name);
    if (!found) return;  // usually: a scope goes with its last process
    if (*found != description)
      throw Error(Errc::wrong_state,
                  "was not created for this container: its description is " + quote(*found));
    JobWatch jobs(bus.get());
    const Message call = new_call(bus.get(), "StopUnit");
    check_bus(api().append(call.get(), "ss", name.c_str(), "replace"), name);
    BusError error;
    if (const Message answer = send_call(bus.get(), call, error)) jobs.wait(job_of(answer));
    call_on_unit(bus.get(), "ResetFailedUnit", name);
  } catch (const std::exception& e) {
    log(LogLevel::debug, "stop unit " + name + ": " + e.what());
  }
}

}  // namespace husk::systemd
