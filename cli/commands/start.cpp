// SPDX-License-Identifier: Apache-2.0
#include <CLI/CLI.hpp>

#include "cli/options.hpp"
#include "cli/trace_file.hpp"

namespace husk::cli {

void add_start(CLI::App& app, const GlobalOptions& options) {
  CLI::App* command = app.add_subcommand("start", "start a created container");
  auto id = std::make_shared<std::string>();
  command->add_option("container-id", *id, "ID of the container")->required();
  const auto trace = add_trace_option(*command);
  command->callback([id, trace, &options] {
    const TraceFile file(*trace);
    make_runtime(options).start(*id);
  });
}

}  // namespace husk::cli
