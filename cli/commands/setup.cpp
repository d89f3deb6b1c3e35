// SPDX-License-Identifier: Apache-2.0
#include <sys/stat.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdlib>
#include <iostream>
#include <sstream>

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

/// The name by which husk was installed, as far as PATH has it: an update may change what a link leads to.
fs::path own_path() {
  const fs::path program = fs::read_symlink("/proc/self/exe");
  const char* const variable = std::getenv("PATH");
  std::istringstream directories(variable == nullptr ? "" : variable);
  std::error_code failure;
  for (std::string directory; std::getline(directories, directory, ':');) {
    const fs::path candidate = fs::path(directory) / program.filename();
    if (candidate.is_absolute() && fs::equivalent(candidate, program, failure) && !failure)
      return candidate;
  }
  return program;
}

/// dockerd runs the program as root: nobody else may be able to change it.
void check_is_roots(const fs::path& program) {
  for (fs::path path = fs::canonical(program);; path = path.parent_path()) {
    struct stat status {};
    check_sys(::stat(path.c_str(), &status), path.string());
    const bool is_shared = (status.st_mode & 022) != 0 && (status.st_mode & S_ISVTX) == 0;
    if (status.st_uid != 0 || is_shared)
      throw Error(Errc::unsupported,
                  path.string() + ": can be changed by others than root, and dockerd would run " +
                      program.string() + " as root; install husk first");
    if (!path.has_relative_path()) return;
  }
}

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
  const fs::path program = own_path();
  if (!flags.remove) check_is_roots(program);
  const auto changed = step(file, [&] {
    return flags.remove ? setup::remove_runtime(text) : setup::add_runtime(text, program);
  });
  if (!changed) {
    print(file + (flags.remove ? ": has no runtime husk. Nothing to do.\n"
                               : ": has the runtime husk already. Nothing to do.\n"));
    return;
  }
  print(flags.remove ? "Takes the runtime husk out of " + file + ".\n"
                     : "Adds to " + file + ":\n  \"runtimes\": { \"husk\": { \"path\": \"" +
                           program.string() + "\" } }\n");
  if (!flags.yes && !agrees()) {
    print("Nothing was changed.\n");
    return;
  }
  const fs::path copy = setup::change_file(flags.file, text, *changed);
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
