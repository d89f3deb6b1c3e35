// SPDX-License-Identifier: Apache-2.0
// internal: what a VM's keeper has done by husk. Not for people, and not shown to them.
#include <CLI/CLI.hpp>
#include <memory>

#include "cli/options.hpp"
#include "lib/base/error.hpp"
#include "lib/runtime/keeper_commands.hpp"

namespace husk::cli {

void add_internal(CLI::App& app, const GlobalOptions& options) {
  struct Words {
    std::string name;
    runtime::KeeperWork work;
  };
  auto words = std::make_shared<Words>();
  CLI::App* command =
      app.add_subcommand("internal", "serve the keeper of a VM (internal command)")->group("");
  command->add_option("command", words->name)->required();
  command->add_option("vm-id", words->work.vm_id)->required();
  command->add_option("container-id", words->work.container);
  command->callback([words, &options] {
    words->work.config_file = options.config.value_or("");
    const auto found = runtime::find_keeper_command(words->name);
    if (!found)
      throw Error(Errc::invalid_argument, "internal: unknown command \"" + words->name + "\"");
    runtime::run_keeper_command(*found, words->work, hypervisor::bounded_libvirt);
  });
}

}  // namespace husk::cli
