// SPDX-License-Identifier: Apache-2.0
#include "lib/runtime/host/config.hpp"

#define TOML_EXCEPTIONS 1
#include <toml++/toml.h>

#include <functional>
#include <map>
#include <sstream>

#include "lib/base/error.hpp"
#include "lib/base/files.hpp"
#include "lib/base/text.hpp"
#include "lib/oci/sysctl_name.hpp"
#include "lib/runtime/host/own_annotations.hpp"

namespace husk::runtime {
namespace {

constexpr std::size_t max_config_bytes = 1U << 20;
/// Less than guestcomm::max_kernel_settings_bytes, in which the host's own and the marks of JSON are as well.
constexpr std::size_t max_sysctl_table_bytes = 4096;

using Setter = std::function<void(const toml::node&)>;
using Section = std::map<std::string, Setter, std::less<>>;

[[noreturn]] void refuse(const std::string& file, const toml::source_region& where,
                         const std::string& what) {
  throw Error(Errc::invalid_argument, file + ":" + std::to_string(where.begin.line) + ": " + what);
}

class Reader {
 public:
  Reader(std::string file, Config& config) : file_(std::move(file)), config_(config) {
    sections_["hypervisor"] = {{"uri", text([this](std::string v) { config_.uri = std::move(v); })},
                               {"accelerator", accelerator()},
                               {"firmware", path(config_.firmware)},
                               {"cloud_hypervisor", path(config_.cloud_hypervisor)}};
    sections_["files"] = {{"virtiofsd", path(config_.virtiofsd)},
                          {"cache", cache()},
                          {"threads", number(0, max_file_threads, [this](std::int64_t v) {
                             config_.files.threads = static_cast<unsigned>(v);
                           })}};
    sections_["vm"] = {
        {"vcpus",
         number(1, 64, [this](std::int64_t v) { config_.vcpus = static_cast<unsigned>(v); })},
        {"memory_mib",
         number(128, 1 << 20,
                [this](std::int64_t v) { config_.memory_mib = static_cast<std::uint64_t>(v); })},
        {"max_vcpus",
         number(1, 64, [this](std::int64_t v) { config_.max_vcpus = static_cast<unsigned>(v); })},
        {"max_memory_mib", number(128, 1 << 20,
                                  [this](std::int64_t v) {
                                    config_.max_memory_mib = static_cast<std::uint64_t>(v);
                                  })},
        {"allowed_annotations", texts(config_.allowed_annotations)},
        {"kernel", path(config_.kernel)},
        {"initrd", path(config_.initrd)},
        {"modules", path(config_.modules)},
        {"kernel_arguments",
         text([this](std::string v) { config_.kernel_arguments = std::move(v); })},
        {"sysctl", sysctls(config_.sysctl)},
        {"boot_timeout_seconds", number(5, 3600, [this](std::int64_t v) {
           config_.boot_timeout = std::chrono::seconds(v);
         })}};
    sections_["pool"] = {
        {"size",
         number(0, 64, [this](std::int64_t v) { config_.pool.size = static_cast<unsigned>(v); })},
        {"max_age",
         number(60, 31'536'000,
                [this](std::int64_t v) { config_.pool.max_age = std::chrono::seconds(v); })},
        {"memory_pressure", number(1, 100,
                                   [this](std::int64_t v) {
                                     config_.pool.memory_pressure = static_cast<unsigned>(v);
                                   })},
        {"pods", truth([this](bool v) { config_.pool.pods = v; })}};
  }

  void read(const toml::table& root) {
    for (const auto& [name, node] : root) {
      const auto section = sections_.find(name.str());
      if (section == sections_.end())
        refuse(file_, node.source(), "unknown section [" + std::string(name.str()) + "]");
      const toml::table* table = node.as_table();
      if (table == nullptr)
        refuse(file_, node.source(), std::string(name.str()) + " must be a table");
      read_section(section->first, section->second, *table);
    }
  }

 private:
  void read_section(const std::string& name, const Section& keys, const toml::table& table) {
    for (const auto& [key, node] : table) {
      const auto setter = keys.find(key.str());
      const std::string full = name + "." + std::string(key.str());
      if (setter == keys.end()) refuse(file_, node.source(), "unknown key " + full);
      current_ = full;
      config_.given.insert(full);
      setter->second(node);
    }
  }

  Setter text(std::function<void(std::string)> set) {
    return [this, set = std::move(set)](const toml::node& node) {
      if (!node.is_string()) refuse(file_, node.source(), current_ + " must be a string");
      set(node.as_string()->get());
    };
  }

  Setter truth(std::function<void(bool)> set) {
    return [this, set = std::move(set)](const toml::node& node) {
      if (!node.is_boolean()) refuse(file_, node.source(), current_ + " must be true or false");
      set(node.as_boolean()->get());
    };
  }

  Setter texts(std::set<std::string>& target) {
    return [this, &target](const toml::node& node) {
      const toml::array* const array = node.as_array();
      if (array == nullptr) refuse(file_, node.source(), current_ + " must be an array of strings");
      for (const toml::node& one : *array) {
        if (!one.is_string())
          refuse(file_, one.source(), current_ + " must be an array of strings");
        target.insert(one.as_string()->get());
      }
    };
  }

  Setter sysctls(KernelParameters& target) {
    return [this, &target](const toml::node& node) {
      const toml::table* const table = node.as_table();
      if (table == nullptr) refuse(file_, node.source(), current_ + " must be a table");
      std::size_t bytes = 0;
      for (const auto& [key, value] : *table) {
        const std::string name(key.str());
        const auto path = oci::parse_sysctl_name(name);
        if (!path && !value.is_table())
          refuse(file_, value.source(),
                 current_ + ": " + quote(name) + " is not the name of a sysctl");
        if (!value.is_string() && !value.is_integer())
          refuse(file_, value.source(),
                 current_ + ": " + quote(name) +
                     " must be a string or an integer, and a name with dots in quotation marks");
        target[*path] = value.is_string() ? value.as_string()->get()
                                          : std::to_string(value.as_integer()->get());
        bytes += path->size() + target[*path].size();
      }
      if (bytes > max_sysctl_table_bytes)
        refuse(file_, node.source(),
               current_ + " is longer than " + std::to_string(max_sysctl_table_bytes) + " bytes");
    };
  }

  Setter path(std::optional<std::filesystem::path>& target) {
    return text([this, &target](const std::string& value) {
      if (!value.starts_with('/'))
        throw Error(Errc::invalid_argument, file_ + ": " + current_ + " must be an absolute path");
      target = value;
    });
  }

  Setter accelerator() {
    return text([this](const std::string& value) {
      if (value == "auto") {
        config_.accelerator.reset();
      } else if (value == "kvm") {
        config_.accelerator = hypervisor::Accelerator::kvm;
      } else if (value == "tcg") {
        config_.accelerator = hypervisor::Accelerator::tcg;
      } else {
        throw Error(Errc::invalid_argument, file_ + ": " + current_ + " must be auto, kvm or tcg");
      }
    });
  }

  Setter cache() {
    return text([this](const std::string& value) {
      const auto parsed = parse_file_cache(value);
      if (!parsed)
        throw Error(Errc::invalid_argument,
                    file_ + ": " + current_ + " must be auto, always, metadata or never");
      config_.files.cache = *parsed;
    });
  }

  Setter number(std::int64_t least, std::int64_t most, std::function<void(std::int64_t)> set) {
    return [this, least, most, set = std::move(set)](const toml::node& node) {
      if (!node.is_integer()) refuse(file_, node.source(), current_ + " must be an integer");
      const std::int64_t value = node.as_integer()->get();
      if (value < least || value > most) {
        refuse(file_, node.source(),
               current_ + " must be between " + std::to_string(least) + " and " +
                   std::to_string(most));
      }
      set(value);
    };
  }

  std::string file_, current_;
  Config& config_;
  std::map<std::string, Section, std::less<>> sections_;
};

void check_bound(const std::string& file, const char* key, std::uint64_t usual,
                 std::uint64_t most) {
  if (most != 0 && usual > most)
    throw Error(Errc::invalid_argument, file + ": vm." + key + " is " + std::to_string(usual) +
                                            ", more than vm.max_" + key + ", " +
                                            std::to_string(most));
}

void check_bounds(const std::string& file, const Config& config) {
  check_bound(file, "vcpus", config.vcpus, config.max_vcpus);
  check_bound(file, "memory_mib", config.memory_mib, config.max_memory_mib);
  for (const std::string& name : config.allowed_annotations)
    if (!is_own_annotation(name))
      throw Error(Errc::invalid_argument,
                  file + ": vm.allowed_annotations: husk knows no annotation " + quote(name));
}

}  // namespace

Config load_config(const std::filesystem::path& path) {
  Config config;
  if (!std::filesystem::exists(path)) return config;
  config.file = path;
  const std::string text = read_file(path, max_config_bytes);
  try {
    Reader(path.string(), config).read(toml::parse(text, path.string()));
  } catch (const toml::parse_error& e) {
    refuse(path.string(), e.source(), std::string(e.description()));
  }
  check_bounds(path.string(), config);
  return config;
}

}  // namespace husk::runtime
