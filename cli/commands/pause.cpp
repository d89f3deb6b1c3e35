// SPDX-License-Identifier: Apache-2.0
#include <CLI/CLI.hpp>

#include "cli/options.hpp"

namespace husk::cli {

void add_pause(CLI::App& app, const GlobalOptions& options) {
  CLI::App* command = app.add_subcommand("pause", "suspend all processes in a container");
  auto id = std::make_shared<std::string>();
  command->add_option("container-id", *id, "ID of the container")->required();
  command->callback([id, &options] { make_runtime(options).pause(*id); });
}

void add_resume(CLI::App& app, const GlobalOptions& options) {
  CLI::App* command = app.add_subcommand("resume", "resume all processes in a paused container");
  auto id = std::make_shared<std::string>();
  command->add_option("container-id", *id, "ID of the container")->required();
  command->callback([id, &options] { make_runtime(options).resume(*id); });
}

}  // namespace husk::cli
