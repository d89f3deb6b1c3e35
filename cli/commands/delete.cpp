// SPDX-License-Identifier: Apache-2.0
#include <CLI/CLI.hpp>

#include "cli/options.hpp"
#include "cli/trace_file.hpp"

namespace husk::cli {

void add_delete(CLI::App& app, const GlobalOptions& options) {
  struct Flags {
    std::string id;
    bool force = false;
  };
  CLI::App* command = app.add_subcommand("delete", "delete a container and its resources");
  auto flags = std::make_shared<Flags>();
  command->add_option("container-id", flags->id, "ID of the container")->required();
  command->add_flag("-f,--force", flags->force,
                    "kill a running container first; ignore a container that does not exist");
  const auto trace = add_trace_option(*command);
  command->callback([flags, trace, &options] {
    const TraceFile file(*trace);
    make_runtime(options).remove(flags->id, flags->force);
  });
}

}  // namespace husk::cli
