// SPDX-License-Identifier: Apache-2.0
#include "lib/runtime/host/config_text.hpp"

#define TOML_EXCEPTIONS 1
#include <toml++/toml.h>

#include <optional>
#include <sstream>
#include <vector>

#include "lib/hypervisor/driver.hpp"

namespace husk::runtime {
namespace {

struct Setting {
  const char* name;
  std::optional<std::string> value;  ///< as TOML; empty: depends on the container
};

template <typename Value>
std::string as_toml(const Value& value) {
  std::ostringstream text;
  text << toml::value<Value>(value);
  return text.str();
}
std::string as_toml(const std::filesystem::path& path) { return as_toml(path.string()); }
std::string number(std::uint64_t value) { return std::to_string(value); }

const char* name_of(FileCache cache) {
  switch (cache) {
    case FileCache::automatic:
      return "auto";
    case FileCache::always:
      return "always";
    case FileCache::metadata:
      return "metadata";
    case FileCache::never:
      return "never";
  }
  return "";
}

const char* name_of(const std::optional<hypervisor::Accelerator>& accelerator) {
  if (!accelerator) return "auto";
  return *accelerator == hypervisor::Accelerator::kvm ? "kvm" : "tcg";
}

std::string list(const std::set<std::string>& texts) {
  std::string all;
  for (const std::string& text : texts) all += (all.empty() ? "" : ", ") + as_toml(text);
  return "[" + all + "]";
}

std::string table(const KernelParameters& parameters) {
  std::string all;
  for (const auto& [name, value] : parameters)
    all += (all.empty() ? " " : ", ") + as_toml(name) + " = " + as_toml(value);
  return "{" + all + (all.empty() ? "}" : " }");
}

template <typename Value>
std::optional<std::string> if_any(const std::optional<Value>& value) {
  return value ? std::optional(as_toml(*value)) : std::nullopt;
}
std::optional<std::string> if_any(std::uint64_t value) {
  return value == 0 ? std::nullopt : std::optional(number(value));
}

void add(std::string& text, const Config& config, const std::string& section,
         const std::vector<Setting>& settings) {
  text += "[" + section + "]\n";
  for (const auto& [name, value] : settings) {
    const bool is_given = config.given.contains(section + "." + name);
    text += value ? std::string(name) + " = " + *value : "# " + std::string(name);
    text += is_given ? "\n" : value ? "  # default\n" : ": the default, as husk.toml(5) says\n";
  }
}

}  // namespace

std::string format_config(const Config& config, const InstallPaths& paths) {
  const std::string firmware = hypervisor::driver_for(config.uri).firmware;
  std::string text;
  add(text, config, "hypervisor",
      {{"uri", as_toml(config.uri)},
       {"accelerator", as_toml(std::string(name_of(config.accelerator)))},
       {"firmware", if_any(config.firmware    ? config.firmware
                           : firmware.empty() ? std::nullopt
                                              : std::optional<std::filesystem::path>(firmware))},
       {"cloud_hypervisor", if_any(config.cloud_hypervisor)}});
  add(text, config, "files",
      {{"virtiofsd", if_any(config.virtiofsd)},
       {"cache", as_toml(std::string(name_of(config.files.cache)))},
       {"threads",
        config.files.threads ? std::optional(number(*config.files.threads)) : std::nullopt}});
  add(text, config, "vm",
      {{"vcpus", number(config.vcpus)},
       {"memory_mib", number(config.memory_mib)},
       {"max_vcpus", if_any(config.max_vcpus)},
       {"max_memory_mib", if_any(config.max_memory_mib)},
       {"allowed_annotations", list(config.allowed_annotations)},
       {"kernel", as_toml(config.kernel.value_or(paths.kernel))},
       {"initrd", as_toml(config.initrd.value_or(paths.initrd))},
       {"modules", if_any(config.kernel && !config.modules
                              ? std::nullopt
                              : std::optional(config.modules.value_or(paths.modules)))},
       {"kernel_arguments", as_toml(config.kernel_arguments)},
       {"sysctl", table(config.sysctl)},
       {"boot_timeout_seconds", number(static_cast<std::uint64_t>(config.boot_timeout.count()))}});
  add(text, config, "pool",
      {{"size", number(config.pool.size)},
       {"max_age", number(static_cast<std::uint64_t>(config.pool.max_age.count()))},
       {"memory_pressure", number(config.pool.memory_pressure)},
       {"pods", config.pool.pods ? "true" : "false"}});
  return text;
}

}  // namespace husk::runtime
