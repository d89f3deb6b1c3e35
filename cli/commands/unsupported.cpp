// SPDX-License-Identifier: Apache-2.0
// checkpoint and restore: refused, with --help too. Podman and CRI-O call `checkpoint --help` to
// find out whether a runtime can do it, and take its exit status for the answer.
#include <CLI/CLI.hpp>

#include "cli/options.hpp"
#include "lib/base/error.hpp"

namespace husk::cli {

void add_unsupported(CLI::App& app) {
  for (const char* name : {"checkpoint", "restore"}) {
    CLI::App* command =
        app.add_subcommand(name, "not supported: the processes are in a virtual machine");
    command->set_help_flag();
    command->allow_extras();
    command->callback([name] {
      throw Error(Errc::unsupported,
                  std::string(name) + " is not supported: the processes are in a virtual machine");
    });
  }
}

}  // namespace husk::cli
