// SPDX-License-Identifier: Apache-2.0
#include "lib/systemd/unit_limits.hpp"

#include <limits>

#include "lib/base/error.hpp"
#include "lib/systemd/manager.hpp"
#include "lib/systemd/scope.hpp"

namespace husk::systemd {
namespace {

using Number = std::optional<std::uint64_t>;

/// systemd's word for "infinity", and for a weight that was never set.
constexpr std::uint64_t unset = std::numeric_limits<std::uint64_t>::max();

void add(std::vector<UnitProperty>& to, const char* name, const Number& wanted, const Number& had) {
  if (wanted || had) to.push_back({name, wanted.value_or(unset)});
}

Number for_a_second(const Number& quota_us) { return quota_us ? Number(*quota_us * 10) : Number(); }

Message set_properties_call(::sd_bus* bus, const std::string& unit,
                            const std::vector<UnitProperty>& properties) {
  Message call = new_call(bus, "SetUnitProperties");
  constexpr int until_it_ends = 1;
  check_bus(api().append(call.get(), "sb", unit.c_str(), until_it_ends), unit);
  check_bus(api().open_container(call.get(), 'a', "(sv)"), "properties");
  PropertyWriter writer(call.get());
  for (const UnitProperty& property : properties) writer.add(property);
  check_bus(api().close_container(call.get()), "properties");
  return call;
}

}  // namespace

std::vector<UnitProperty> limit_properties(const UnitLimits& wanted, const UnitLimits& had) {
  std::vector<UnitProperty> properties;
  add(properties, "MemoryMax", wanted.memory_bytes, had.memory_bytes);
  add(properties, "CPUQuotaPerSecUSec", for_a_second(wanted.quota_us), for_a_second(had.quota_us));
  add(properties, "CPUWeight", wanted.cpu_weight, had.cpu_weight);
  add(properties, "TasksMax", wanted.tasks, had.tasks);
  return properties;
}

void limit_unit(const std::string& name, const UnitLimits& wanted, const UnitLimits& had) {
  const std::vector<UnitProperty> properties = limit_properties(wanted, had);
  if (properties.empty() || !is_running()) return;
  const Bus bus = connect_to_manager();
  if (!find_description(bus.get(), name)) return;
  BusError error;
  if (!send_call(bus.get(), set_properties_call(bus.get(), name, properties), error))
    throw Error(Errc::system, "systemd: limit unit " + name + ": " + error.text());
}

}  // namespace husk::systemd
