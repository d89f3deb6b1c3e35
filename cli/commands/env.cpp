// SPDX-License-Identifier: Apache-2.0
#include <CLI/CLI.hpp>

#include "cli/options.hpp"
#include "cli/report.hpp"
#include "lib/runtime/host/config.hpp"
#include "lib/runtime/host/config_text.hpp"
#include "lib/runtime/host/install_paths.hpp"

namespace husk::cli {

void add_env(CLI::App& app, const GlobalOptions& options) {
  app.add_subcommand("env", "print the configuration that holds")->callback([&options] {
    const std::filesystem::path file = config_file(options);
    const bool exists = std::filesystem::exists(file);
    print("# " + file.string() + (exists ? "\n" : " does not exist: all defaults\n") +
          runtime::format_config(runtime::load_config(file), runtime::find_install_paths()));
  });
}

}  // namespace husk::cli
