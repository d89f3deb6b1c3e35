// SPDX-License-Identifier: Apache-2.0
#include <CLI/CLI.hpp>

#include "cli/options.hpp"
#include "cli/signal_names.hpp"

namespace husk::cli {

void add_kill(CLI::App& app, const GlobalOptions& options) {
  struct Flags {
    std::string id, signal = "SIGTERM";
    bool all = false;
  };
  CLI::App* command = app.add_subcommand("kill", "send a signal to a container's init process");
  auto flags = std::make_shared<Flags>();
  command->add_option("container-id", flags->id, "ID of the container")->required();
  command->add_option("signal", flags->signal,
                      "signal number, or name with or without SIG (default: SIGTERM)");
  command->add_flag("-a,--all", flags->all, "send the signal to all processes in the container");
  command->callback([flags, &options] {
    const int signal = parse_signal(flags->signal);
    make_runtime(options).kill(flags->id, signal, flags->all);
  });
}

}  // namespace husk::cli
