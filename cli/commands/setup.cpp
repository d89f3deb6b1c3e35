// SPDX-License-Identifier: Apache-2.0
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <iostream>

#include "cli/options.hpp"
#include "cli/report.hpp"
#include "lib/base/error.hpp"
#include "lib/setup/changed_file.hpp"
#include "lib/setup/daemon_json.hpp"

namespace husk::cli {
namespace {

namespace fs = std::filesystem;

struct SetupFlags {
  std::string engine;
  fs::path file = "/etc/docker/daemon.json";
  bool remove = false, yes = false;
};

/// The name by which husk was installed, where it leads to this program: an update may change what is behind the name.
fs::path own_path() { return fs::read_symlink("/proc/self/exe"); }

bool agrees() {
  if (::isatty(STDIN_FILENO) == 0)
    throw Error(Errc::invalid_argument, "setup: there is no terminal to ask on: add --yes");
  print("Go on? [y/N] ");
  std::cout.flush();
  std::string answer;
  std::getline(std::cin, answer);
  return answer == "y" || answer == "Y" || answer == "yes";
}

void set_up_docker(const SetupFlags& flags) {
  const std::string file = flags.file.string(), text = setup::read_or_empty(flags.file);
  const auto changed = step(file, [&] {
    return flags.remove ? setup::remove_runtime(text) : setup::add_runtime(text, own_path());
  });
  if (!changed) {
    print(file + (flags.remove ? ": has no runtime husk. Nothing to do.\n"
                               : ": has the runtime husk already. Nothing to do.\n"));
    return;
  }
  print(flags.remove ? "Takes the runtime husk out of " + file + ".\n"
                     : "Adds to " + file + ":\n  \"runtimes\": { \"husk\": { \"path\": \"" +
                           own_path().string() + "\" } }\n");
  if (!flags.yes && !agrees()) {
    print("Nothing was changed.\n");
    return;
  }
  const fs::path copy = setup::change_file(flags.file, *changed);
  if (!copy.empty()) print("The file as it was: " + copy.string() + "\n");
  print("Now: systemctl reload docker (containers go on), or send SIGHUP to dockerd.\n");
  if (!flags.remove) print("Then: docker run --rm --runtime husk IMAGE COMMAND\n");
}

}  // namespace

void add_setup(CLI::App& app) {
  CLI::App* const command = app.add_subcommand("setup", "make an engine know husk");
  auto flags = std::make_shared<SetupFlags>();
  command->add_option("engine", flags->engine, "the engine: docker")
      ->required()
      ->check(CLI::IsMember({"docker"}));
  command->add_option("--file", flags->file, "file to change (default: /etc/docker/daemon.json)");
  command->add_flag("--remove", flags->remove, "take husk out again");
  command->add_flag("-y,--yes", flags->yes, "do not ask");
  command->callback([flags] { set_up_docker(*flags); });
}

}  // namespace husk::cli
