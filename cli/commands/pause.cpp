// SPDX-License-Identifier: Apache-2.0
#include <CLI/CLI.hpp>

#include "cli/options.hpp"

namespace husk::cli {

void add_pause(CLI::App& app, const GlobalOptions& options) {
  CLI::App* command = app.add_subcommand("pause", "stop all processes of a container for a while");
  auto id = std::make_shared<std::string>();
  command->add_option("container-id", *id, "the container")->required();
  command->callback([id, &options] { make_runtime(options).pause(*id); });
}

void add_resume(CLI::App& app, const GlobalOptions& options) {
  CLI::App* command = app.add_subcommand("resume", "let a paused container go on");
  auto id = std::make_shared<std::string>();
  command->add_option("container-id", *id, "the container")->required();
  command->callback([id, &options] { make_runtime(options).resume(*id); });
}

}  // namespace husk::cli
