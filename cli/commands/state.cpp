// SPDX-License-Identifier: Apache-2.0
#include <CLI/CLI.hpp>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "cli/options.hpp"
#include "cli/report.hpp"

namespace husk::cli {

void add_state(CLI::App& app, const GlobalOptions& options) {
  CLI::App* command = app.add_subcommand("state", "print the state of a container");
  auto id = std::make_shared<std::string>();
  command->add_option("container-id", *id, "ID of the container")->required();
  command->callback(
      [id, &options] { print(oci::to_ordered_json(make_runtime(options).state(*id)).dump(2)); });
}

}  // namespace husk::cli
