// SPDX-License-Identifier: Apache-2.0
#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "cli/options.hpp"
#include "lib/base/error.hpp"
#include "lib/base/files.hpp"
#include "lib/oci/bundle.hpp"

namespace husk::cli {
namespace {

struct Flags {
  std::string process, pid_file, console_socket, pidfd_socket, cgroup, ignored;
  runtime::ExecChanges changes;
  unsigned preserve_fds = 0;
  bool detach = false, ignore_paused = false;
};

void add_options(CLI::App& command, Flags& flags) {
  runtime::ExecChanges& changes = flags.changes;
  command.add_option("-p,--process", flags.process,
                     "JSON file with the process, in the form of process in config.json");
  command.add_option("--cwd", changes.cwd, "working directory in the container");
  command.add_option("-e,--env", changes.env, "environment variable NAME=VALUE (may be repeated)")
      ->allow_extra_args(false);
  command.add_option("-u,--user", changes.user,
                     "user to run the process as, in the form UID[:GID]");
  command
      .add_option("-g,--additional-gids", changes.additional_gids,
                  "additional group ID (may be repeated)")
      ->allow_extra_args(false);
  command.add_option("-c,--cap", changes.capabilities, "capability to add (may be repeated)")
      ->allow_extra_args(false);
  command.add_flag("--no-new-privs", changes.no_new_privileges, "set no_new_privs for the process");
  command.add_flag("-t,--tty", changes.terminal, "allocate a terminal for the process");
  command.add_flag("-d,--detach", flags.detach, "run the process in the background");
  command.add_option("--console-socket", flags.console_socket,
                     "Unix socket that receives a file descriptor of the terminal's master");
  command.add_option("--pid-file", flags.pid_file, "file to write the process ID to");
  command.add_option("--cgroup", flags.cgroup,
                     "existing cgroup below the container's cgroup in the VM");
  command.add_option("--pidfd-socket", flags.pidfd_socket,
                     "Unix socket that receives a pidfd of the process");
  command.add_option("--preserve-fds", flags.preserve_fds,
                     "number of additional file descriptors to pass; only 0 is supported");
  command.add_flag("--ignore-paused", flags.ignore_paused, "allow exec in a paused container");
  command.add_option("--process-label", flags.ignored, "ignored (for compatibility with runc)");
  command.add_option("--apparmor", flags.ignored, "ignored (for compatibility with runc)");
}

/// The file is the caller's, and as hostile as config.json.
oci::Process read_process(const std::string& path) {
  const std::string text = read_file(path, oci::max_config_bytes);
  const nlohmann::json json = oci::parse_json(text, path);  // whose errors name the file themselves
  return step(path, [&] { return json.get<oci::Process>(); });
}

/// words: the container's id, and the command unless --process has it.
runtime::ExecRequest make_exec_request(Flags flags, std::vector<std::string> words) {
  refuse_preserved_fds(flags.preserve_fds);
  runtime::ExecRequest request;
  request.id = words.front();
  words.erase(words.begin());
  if (!flags.process.empty()) {
    if (!words.empty())
      throw Error(Errc::invalid_argument, "exec: --process cannot be combined with a command");
    oci::Process process = read_process(flags.process);
    if (flags.changes.terminal) process.terminal = true;
    request.process = std::move(process);
  } else {
    for (auto* text : {&flags.changes.cwd, &flags.changes.user})
      if (*text && (*text)->empty()) text->reset();
    if (words.empty()) throw Error(Errc::invalid_argument, "exec: process args cannot be empty");
    flags.changes.args = std::move(words);
    request.process = std::move(flags.changes);
  }
  request.pid_file = given_path(flags.pid_file);
  request.pidfd_socket = given_path(flags.pidfd_socket);
  request.cgroup = flags.cgroup;
  request.ignore_paused = flags.ignore_paused;
  request.streams = {flags.detach, given_path(flags.console_socket)};
  return request;
}

}  // namespace

void add_exec(CLI::App& app, const GlobalOptions& options, int& status) {
  CLI::App* command = app.add_subcommand("exec", "run an additional process in a container");
  auto flags = std::make_shared<Flags>();
  add_options(*command, *flags);
  // Options end with the container's id: what follows is the command's own.
  command->prefix_command();
  command->footer(
      "husk exec [OPTIONS] CONTAINER-ID COMMAND [ARGUMENTS...]\n"
      "husk exec [OPTIONS] --process FILE CONTAINER-ID");
  command->callback([command, flags, &options, &status] {
    check_id_first("exec", command->remaining());
    // With runc a failure, but of usage, is told from the command's own statuses by this one.
    status = 255;
    status = make_runtime(options).exec(make_exec_request(*flags, command->remaining()));
  });
}

}  // namespace husk::cli
