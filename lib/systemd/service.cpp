// SPDX-License-Identifier: Apache-2.0
#include "lib/systemd/service.hpp"

#include "lib/base/error.hpp"
#include "lib/systemd/manager.hpp"

namespace husk::systemd {
namespace {

/// Without the default dependencies: at a shutdown the service stays until its work is done or all
/// processes are killed.
std::vector<UnitProperty> properties_of(const ServicePlan& plan) {
  return {{"Description", plan.description},
          {"Type", std::string("exec")},
          {"DefaultDependencies", false},
          {"CollectMode", std::string("inactive-or-failed")},
          {"StandardOutput", std::string("null")},
          {"StandardError", std::string(plan.errors_to_journal ? "journal" : "null")}};
}

Message make_call(::sd_bus* bus, const ServicePlan& plan) {
  Message call = new_call(bus, "StartTransientUnit");
  check_bus(api().append(call.get(), "ss", plan.name.c_str(), "fail"), plan.name);
  check_bus(api().open_container(call.get(), 'a', "(sv)"), "properties");
  PropertyWriter writer(call.get());
  for (const UnitProperty& property : properties_of(plan)) writer.add(property);
  writer.add_program(plan.command);
  writer.add_descriptor("StandardInputFileDescriptor", plan.standard_input);
  check_bus(api().close_container(call.get()), "properties");
  check_bus(api().append(call.get(), "a(sa(sv))", 0), "auxiliary units");
  return call;
}

}  // namespace

void start_service(const ServicePlan& plan) {
  const Bus bus = connect_to_manager();
  BusError error;
  if (!send_call(bus.get(), make_call(bus.get(), plan), error))
    throw Error(Errc::system, "systemd: start unit " + plan.name + ": " + error.text());
}

}  // namespace husk::systemd
