// SPDX-License-Identifier: Apache-2.0
#include <CLI/CLI.hpp>

#include "cli/options.hpp"
#include "cli/trace_file.hpp"

namespace husk::cli {

void add_create(CLI::App& app, const GlobalOptions& options) {
  CLI::App* command = app.add_subcommand("create", "create a container");
  auto flags = std::make_shared<BundleOptions>();
  add_bundle_options(*command, *flags);
  const auto trace = add_trace_option(*command);
  command->callback([flags, trace, &options] {
    const TraceFile file(*trace);
    make_runtime(options).create(make_request(*flags, options));
  });
}

}  // namespace husk::cli
