// SPDX-License-Identifier: Apache-2.0
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "cli/options.hpp"
#include "cli/values.hpp"
#include "lib/base/error.hpp"
#include "lib/base/files.hpp"
#include "lib/base/parse_number.hpp"
#include "lib/base/text.hpp"
#include "lib/oci/bundle.hpp"

namespace husk::cli {
namespace {

struct LimitFlags {
  std::string id;
  // Empty is as good as not given, with runc too; but of pids_limit.
  std::string file, memory, memory_reservation, memory_swap;
  std::string cpu_period, cpu_quota, cpu_burst, cpu_share, cpu_idle, cpuset_cpus, cpuset_mems;
  std::optional<std::int64_t> pids_limit;
  // Limits on the host's disks and caches.
  std::string no_effect, cache_schema, bandwidth_schema;
};

void add_options(CLI::App& command, LimitFlags& flags) {
  command.add_option("container-id", flags.id, "ID of the container")->required();
  command.add_option(
      "-r,--resources", flags.file,
      "JSON file with the limits, in the form of linux.resources in config.json, or - for "
      "standard input; all other options are then ignored");
  command.add_option("--memory", flags.memory,
                     "memory limit in bytes, or with a unit (64m, 1g); -1: no limit");
  command.add_option("--memory-reservation", flags.memory_reservation,
                     "soft memory limit in bytes");
  command.add_option("--memory-swap", flags.memory_swap,
                     "limit of memory plus swap in bytes; -1: no limit");
  command.add_option("--cpu-period", flags.cpu_period,
                     "length of the quota period in microseconds");
  command.add_option("--cpu-quota", flags.cpu_quota,
                     "CPU time per period in microseconds; -1: no limit");
  command.add_option("--cpu-burst", flags.cpu_burst,
                     "unused quota that may accumulate, in microseconds");
  command.add_option("--cpu-share", flags.cpu_share,
                     "CPU weight relative to other containers in the VM, 2 to 262144");
  command.add_option("--cpu-idle", flags.cpu_idle, "1: run only when the CPU is idle; 0: as usual");
  command.add_option("--pids-limit", flags.pids_limit,
                     "maximum number of processes and threads; -1: no limit");
  command.add_option("--cpuset-cpus", flags.cpuset_cpus,
                     "CPUs of the host that the VM may run on (0-3,7)");
  command.add_option("--cpuset-mems", flags.cpuset_mems, "memory nodes of the host for the VM");
  for (const char* name : {"--blkio-weight", "--cpu-rt-period", "--cpu-rt-runtime",
                           "--kernel-memory", "--kernel-memory-tcp"}) {
    command.add_option(name, flags.no_effect, "ignored (for compatibility with runc)");
  }
  command.add_option("--l3-cache-schema", flags.cache_schema,
                     "not supported (Intel RDT of the host)");
  command.add_option("--mem-bw-schema", flags.bandwidth_schema,
                     "not supported (Intel RDT of the host)");
}

template <class Number>
std::optional<Number> read_number(const char* option, const std::string& text) {
  if (text.empty()) return std::nullopt;
  if (const auto number = parse_number<Number>(text)) return number;
  throw Error(Errc::invalid_argument,
              std::string(option) + ": " + quote(text) + " is not a valid number");
}

oci::Resources read_resources(const std::string& file) {
  const bool is_stdin = file == "-";
  const std::string name = is_stdin ? "standard input" : file;
  const std::string text = is_stdin ? read_all(STDIN_FILENO, oci::max_config_bytes, name)
                                    : read_file(file, oci::max_config_bytes);
  const nlohmann::json json = oci::parse_json(text, name);  // whose errors name the file themselves
  return step(name, [&] { return json.get<oci::Resources>(); });
}

oci::Resources make_resources(const LimitFlags& flags) {
  for (const auto& [name, value] : {std::pair{"--l3-cache-schema", flags.cache_schema},
                                    std::pair{"--mem-bw-schema", flags.bandwidth_schema}}) {
    if (!value.empty())
      throw Error(Errc::unsupported, std::string(name) + ": cache allocation is not supported");
  }
  const auto size = [](const char* option, const std::string& text) {
    return text.empty() ? std::nullopt : std::optional(parse_size(option, text));
  };
  oci::Resources resources;
  resources.memory.emplace();
  resources.memory->limit = size("--memory", flags.memory);
  resources.memory->reservation = size("--memory-reservation", flags.memory_reservation);
  resources.memory->swap = size("--memory-swap", flags.memory_swap);
  resources.cpu.emplace();
  resources.cpu->shares = read_number<std::uint64_t>("--cpu-share", flags.cpu_share);
  resources.cpu->period = read_number<std::uint64_t>("--cpu-period", flags.cpu_period);
  resources.cpu->quota = read_number<std::int64_t>("--cpu-quota", flags.cpu_quota);
  resources.cpu->burst = read_number<std::uint64_t>("--cpu-burst", flags.cpu_burst);
  resources.cpu->idle = read_number<std::int64_t>("--cpu-idle", flags.cpu_idle);
  if (!flags.cpuset_cpus.empty()) resources.cpu->cpus = flags.cpuset_cpus;
  if (!flags.cpuset_mems.empty()) resources.cpu->mems = flags.cpuset_mems;
  resources.pids_limit = flags.pids_limit;
  return resources;
}

}  // namespace

void add_update(CLI::App& app, const GlobalOptions& options) {
  CLI::App* command = app.add_subcommand("update", "change the resource limits of a container");
  auto flags = std::make_shared<LimitFlags>();
  add_options(*command, *flags);
  command->callback([flags, &options] {
    const oci::Resources resources =
        flags->file.empty() ? make_resources(*flags) : read_resources(flags->file);
    make_runtime(options).update(flags->id, resources);
  });
}

}  // namespace husk::cli
