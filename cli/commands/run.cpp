// SPDX-License-Identifier: Apache-2.0
#include <CLI/CLI.hpp>

#include "cli/options.hpp"
#include "cli/trace_file.hpp"

namespace husk::cli {

void add_run(CLI::App& app, const GlobalOptions& options, int& status) {
  struct Flags : BundleOptions {
    bool detach = false, keep = false;
  };
  CLI::App* command = app.add_subcommand("run", "create and start a container");
  auto flags = std::make_shared<Flags>();
  add_bundle_options(*command, *flags);
  command->add_flag("-d,--detach", flags->detach, "run the container in the background");
  command->add_flag("--keep", flags->keep, "do not delete the container after it has exited");
  command->add_flag("--no-subreaper", flags->ignored, "ignored (for compatibility with runc)");
  const auto trace = add_trace_option(*command);
  command->callback([flags, trace, &options, &status] {
    const TraceFile file(*trace);
    runtime::CreateRequest request = make_request(*flags, options);
    request.streams.detached = flags->detach;
    status = make_runtime(options).run(request, flags->keep);
  });
}

}  // namespace husk::cli
