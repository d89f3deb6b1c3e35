// SPDX-License-Identifier: Apache-2.0
#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "cli/options.hpp"
#include "cli/report.hpp"

namespace husk::cli {
namespace {

using Row = std::array<std::string, 6>;

/// Letters of UTF-8, not bytes: Go's tabwriter counts them so.
std::size_t width_of(const std::string& text) {
  return static_cast<std::size_t>(std::count_if(
      text.begin(), text.end(), [](unsigned char byte) { return (byte & 0xc0) != 0x80; }));
}

/// Columns as wide as their longest entry, three blanks between, as runc's.
std::string format_table(const std::vector<oci::State>& states) {
  std::vector<Row> rows{{"ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"}};
  for (const oci::State& s : states) {
    rows.push_back({s.id, std::to_string(s.pid), s.status, s.bundle, s.created, s.owner});
  }
  std::array<std::size_t, 6> widths{};
  for (const Row& row : rows) {
    for (std::size_t i = 0; i < row.size(); ++i)
      widths[i] = std::max({widths[i], width_of(row[i]), std::size_t{9}});
  }
  std::string text;
  for (const Row& row : rows) {
    for (std::size_t i = 0; i < row.size(); ++i) {
      text += row[i];
      if (i + 1 < row.size()) text.append(widths[i] - width_of(row[i]) + 3, ' ');
    }
    text += '\n';
  }
  return text;
}

std::string format_json(const std::vector<oci::State>& states) {
  if (states.empty()) return "null\n";  // as runc: an empty Go slice
  auto json = nlohmann::ordered_json::array();
  for (const oci::State& state : states) json.push_back(oci::to_ordered_json(state));
  return json.dump() + "\n";
}

}  // namespace

void add_list(CLI::App& app, const GlobalOptions& options) {
  struct Flags {
    std::string format = "table";
    bool quiet = false;
  };
  CLI::App* command =
      app.add_subcommand("list", "list the containers under the root directory (--root)");
  auto flags = std::make_shared<Flags>();
  command->add_option("-f,--format", flags->format, "output format: table or json (default: table)")
      ->check(CLI::IsMember({"table", "json"}));
  command->add_flag("-q,--quiet", flags->quiet, "print container IDs only");
  command->callback([flags, &options] {
    const std::vector<oci::State> states = make_runtime(options).list();
    if (flags->quiet) {
      for (const oci::State& state : states) print(state.id + "\n");
    } else {
      print(flags->format == "json" ? format_json(states) : format_table(states));
    }
  });
}

}  // namespace husk::cli
