// SPDX-License-Identifier: Apache-2.0
// pool: VMs that have booted before a container needs them.
#include "lib/runtime/pool.hpp"

#include <CLI/CLI.hpp>
#include <iomanip>
#include <nlohmann/json.hpp>
#include <sstream>

#include "cli/options.hpp"
#include "cli/report.hpp"
#include "lib/base/error.hpp"

namespace husk::cli {
namespace {

struct PoolSettings {
  runtime::Config config;
  runtime::InstallPaths paths = runtime::find_install_paths();
  runtime::Pool pool() const { return {config, paths}; }
};

PoolSettings load_settings(const GlobalOptions& options) {
  return {.config = runtime::load_config(config_file(options))};
}

void print_line(const std::string& line) { print(line + "\n"); }

std::string format_pool(const std::vector<runtime::PoolVm>& vms) {
  std::ostringstream text;
  text << "ID         STATE     AGE       MEMORY\n" << std::left;
  for (const runtime::PoolVm& vm : vms)
    text << std::setw(11) << vm.id << std::setw(10) << vm.state << std::setw(10)
         << std::to_string(vm.age.count()) + "s" << (vm.memory_bytes >> 20U) << "MiB\n";
  return text.str();
}

std::string format_pool_json(const std::vector<runtime::PoolVm>& vms) {
  auto list = nlohmann::ordered_json::array();
  for (const runtime::PoolVm& vm : vms)
    list.push_back({{"id", vm.id},
                    {"state", vm.state},
                    {"ageSeconds", vm.age.count()},
                    {"memoryBytes", vm.memory_bytes}});
  return list.dump() + "\n";
}

void fill(const GlobalOptions& options, bool waits) {
  const PoolSettings settings = load_settings(options);
  if (settings.config.pool.size == 0)
    throw Error(Errc::invalid_argument,
                config_file(options).string() + ": pool.size is 0: there is no pool to fill");
  runtime::fill_pool(settings.pool(),
                     waits ? runtime::PoolPatience::wait : runtime::PoolPatience::leave,
                     print_line);
}

void show_status(const GlobalOptions& options, bool as_json) {
  const PoolSettings settings = load_settings(options);
  const std::vector<runtime::PoolVm> vms = runtime::list_pool(settings.pool());
  print(as_json ? format_pool_json(vms) : format_pool(vms));
}

}  // namespace

void add_pool(CLI::App& app, const GlobalOptions& options) {
  struct Words {
    std::string action;
    bool json = false, no_wait = false;
  };
  CLI::App* const command =
      app.add_subcommand("pool", "manage the VMs that have booted before a container needs them");
  auto words = std::make_shared<Words>();
  command->add_option("action", words->action, "fill, drain or status")
      ->required()
      ->check(CLI::IsMember({"fill", "drain", "status"}));
  command->add_flag("--json", words->json, "print the status as JSON");
  command->add_flag("--no-wait", words->no_wait,
                    "return at once where another command fills the pool");
  command->callback([words, &options] {
    if (words->action == "fill") return fill(options, !words->no_wait);
    if (words->action == "status") return show_status(options, words->json);
    runtime::drain_pool(hypervisor::bounded_libvirt, print_line);
  });
}

}  // namespace husk::cli
