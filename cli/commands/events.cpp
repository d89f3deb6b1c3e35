// SPDX-License-Identifier: Apache-2.0
#include <CLI/CLI.hpp>
#include <charconv>
#include <chrono>

#include "cli/event_json.hpp"
#include "cli/options.hpp"
#include "cli/report.hpp"
#include "lib/base/error.hpp"
#include "lib/base/text.hpp"

namespace husk::cli {
namespace {

using guestcomm::ContainerStatistics;
using std::chrono::milliseconds;

void print_statistics(const std::string& id, const ContainerStatistics& all) {
  print(statistics_line(id, all));
}

void print_event(const std::string& id, const runtime::Runtime::Event& event) {
  if (const auto* statistics = std::get_if<ContainerStatistics>(&event))
    return print_statistics(id, *statistics);
  print(oom_line(id));
}

/// Go's: "5s", "1m30s", "1.5s", "200ms".
milliseconds parse_duration(const std::string& text) {
  static constexpr std::pair<std::string_view, std::int64_t> units[] = {
      {"ms", 1}, {"h", 3'600'000}, {"m", 60'000}, {"s", 1000}};
  const auto refuse = [&]() -> milliseconds {
    throw Error(Errc::invalid_argument,
                "--interval: " + quote(text) + " is not a valid duration, such as 5s or 200ms");
  };
  double total = 0;
  std::string_view rest = text;
  while (!rest.empty()) {
    double number = -1;
    const auto [end, error] =
        std::from_chars(rest.data(), rest.data() + rest.size(), number, std::chars_format::fixed);
    rest.remove_prefix(static_cast<std::size_t>(end - rest.data()));
    const auto unit =
        std::ranges::find_if(units, [&](const auto& one) { return rest.starts_with(one.first); });
    constexpr double most = 1e6;  // also keeps out "inf" and "nan"
    if (error != std::errc{} || !(number >= 0 && number <= most) || unit == std::end(units))
      return refuse();
    rest.remove_prefix(unit->first.size());
    total += number * static_cast<double>(unit->second);
  }
  constexpr double day = 24 * 3.6e6;
  if (text.empty() || total > day) return refuse();
  if (total < 1) throw Error(Errc::invalid_argument, "duration interval must be greater than 0");
  return milliseconds{static_cast<std::int64_t>(total)};
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
    const milliseconds interval = parse_duration(flags->interval);
    const runtime::Runtime runtime = make_runtime(options);
    if (flags->once) return print_statistics(flags->id, runtime.statistics(flags->id));
    runtime.follow_events(flags->id, interval, [&](const runtime::Runtime::Event& event) {
      print_event(flags->id, event);
    });
  });
}

}  // namespace husk::cli
