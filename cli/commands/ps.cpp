// SPDX-License-Identifier: Apache-2.0
#include <CLI/CLI.hpp>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "cli/options.hpp"
#include "cli/report.hpp"
#include "lib/base/error.hpp"

namespace husk::cli {
namespace {

/// "00:01:07", as ps(1) prints it.
std::string format_time(std::uint64_t ms_of_cpu) {
  const std::uint64_t seconds = ms_of_cpu / 1000;
  char text[32];
  std::snprintf(text, sizeof text, "%02llu:%02llu:%02llu",
                static_cast<unsigned long long>(seconds / 3600),
                static_cast<unsigned long long>(seconds / 60 % 60),
                static_cast<unsigned long long>(seconds % 60));
  return text;
}

void print_row(const std::string& uid, const std::string& pid, const std::string& parent,
               const std::string& time, const std::string& command) {
  const auto padded = [](const std::string& text, std::size_t width) {
    return std::string(width - std::min(width, text.size()), ' ') + text;
  };
  print(padded(uid, 6) + padded(pid, 9) + padded(parent, 9) + padded(time, 11) + "  " + command +
        "\n");
}

void print_guest_processes(const runtime::Runtime& runtime, const std::string& id) {
  const auto list = runtime.guest_processes(id);
  print_row("UID", "PID", "PPID", "TIME", "CMD");
  for (const auto& process : list.processes) {
    print_row(std::to_string(process.uid), std::to_string(process.pid),
              std::to_string(process.parent), format_time(process.cpu_ms), process.command);
  }
  if (list.is_cut) print("(more processes not shown)\n");
}

}  // namespace

void add_ps(CLI::App& app, const GlobalOptions& options) {
  struct Flags {
    std::string id, format = "table";
    std::vector<std::string> ps_options;
  };
  CLI::App* command = app.add_subcommand("ps", "list the processes in a container");
  auto flags = std::make_shared<Flags>();
  command->add_option("-f,--format", flags->format, "output format: table or json (default: table)")
      ->check(CLI::IsMember({"table", "json"}));
  // The id ends the options: what follows is for ps(1).
  command->prefix_command();
  command->callback([command, flags, &options] {
    const std::vector<std::string> words = command->remaining();
    check_id_first("ps", words);
    const runtime::Runtime runtime = make_runtime(options);
    // Callers show host processes by their pids, with options of their own.
    if (flags->format == "json")
      return print(nlohmann::json(runtime.host_processes(words.front())).dump() + "\n");
    if (words.size() > 1) {
      throw Error(Errc::unsupported,
                  "ps: options of ps(1) are not supported: the processes are in a virtual machine");
    }
    print_guest_processes(runtime, words.front());
  });
}

}  // namespace husk::cli
