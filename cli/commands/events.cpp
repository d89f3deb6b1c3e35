// SPDX-License-Identifier: Apache-2.0
#include <CLI/CLI.hpp>
#include <chrono>

#include "cli/event_json.hpp"
#include "cli/options.hpp"
#include "cli/report.hpp"
#include "cli/values.hpp"

namespace husk::cli {
namespace {

using Statistics = runtime::Runtime::Statistics;

void print_statistics(const std::string& id, const Statistics& all) {
  print(statistics_line(id, all));
}

void print_event(const std::string& id, const runtime::Runtime::Event& event) {
  if (const auto* statistics = std::get_if<Statistics>(&event))
    return print_statistics(id, *statistics);
  print(oom_line(id));
}

}  // namespace

void add_events(CLI::App& app, const GlobalOptions& options) {
  struct Flags {
    std::string id, interval = "5s";
    bool once = false;
  };
  CLI::App* command = app.add_subcommand("events", "show resource usage and out-of-memory kills");
  auto flags = std::make_shared<Flags>();
  command->add_option("container-id", flags->id, "ID of the container")->required();
  command->add_option("--interval", flags->interval, "interval between statistics (default: 5s)");
  command->add_flag("--stats", flags->once, "print statistics once and exit");
  command->callback([flags, &options] {
    const std::chrono::milliseconds interval = parse_interval("--interval", flags->interval);
    const runtime::Runtime runtime = make_runtime(options);
    if (flags->once) return print_statistics(flags->id, runtime.statistics(flags->id));
    runtime.follow_events(flags->id, interval, [&](const runtime::Runtime::Event& event) {
      print_event(flags->id, event);
    });
  });
}

}  // namespace husk::cli
