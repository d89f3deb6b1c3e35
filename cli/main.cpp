// SPDX-License-Identifier: Apache-2.0
// husk: an OCI runtime, with runc's command line, that runs each container in a virtual machine.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <csignal>
#include <functional>
#include <iostream>
#include <memory>

#include "cli/app.hpp"
#include "cli/report.hpp"
#include "cli/words.hpp"
#include "lib/base/cancellation.hpp"
#include "lib/base/error.hpp"
#include "lib/base/log.hpp"
#include "lib/base/text.hpp"

namespace {

using namespace husk;

/// runc puts the command's name in front of what goes wrong in these.
std::string describe(const CLI::App& app, const std::string& what) {
  for (const CLI::App* command : app.get_subcommands()) {
    const std::string name = command->get_name();
    if (name == "create" || name == "run") return "husk " + name + " failed: " + what;
    if (name == "exec") return "exec failed: " + what;
  }
  return what;
}

/// The word that stands where a command should: CLI11 says only that a command is missing.
std::string unknown_word(const CLI::App& app) {
  const std::vector<std::string> words = app.remaining();
  return app.get_subcommands().empty() && !words.empty() ? words.front() : std::string();
}

/// As with runc: no command prints the help; an unknown command exits with status 3.
int report_usage(const CLI::App& app, const CLI::ParseError& error,
                 const std::function<void(const std::string&)>& report) {
  const std::string unknown = unknown_word(app);
  const bool is_option = unknown.starts_with("-");
  if (unknown.empty() && app.get_subcommands().empty() &&
      dynamic_cast<const CLI::RequiredError*>(&error) != nullptr) {
    std::cout << app.help();
    return 0;
  }
  const std::string what = unknown.empty() ? error.what()
                           : is_option     ? "unknown option " + quote(unknown)
                                           : "unknown command " + quote(unknown);
  report("husk: " + what + " (see husk --help)");
  return unknown.empty() || is_option ? 1 : 3;
}

/// The id of the container that is created; empty for all commands but create.
std::string id_to_create(const CLI::App& app) {
  if (!app.got_subcommand("create")) return {};
  const auto& ids = app.get_subcommand("create")->get_option("container-id")->results();
  return ids.empty() ? std::string() : ids.front();
}

/// A file that is opened later must not get the number of a standard stream that the caller closed.
void open_closed_streams() {
  int fd = 0;
  do {
    fd = ::open("/dev/null", O_RDWR);
  } while (fd >= 0 && fd <= STDERR_FILENO);
  if (fd > STDERR_FILENO) ::close(fd);
}

}  // namespace

int main(int argc, char** argv) {
  open_closed_streams();
  ::signal(SIGPIPE, SIG_IGN);  // a caller that went away is an error of write(2), not our end
  // The caller's may be 077, but QEMU's user must get to the VM's files, and a container's user
  // through the mount points made for it.
  ::umask(022);
  cli::GlobalOptions options;
  int status = 0;
  const std::unique_ptr<CLI::App> app = cli::make_app(options, status);
  set_log_sink([&options, &app](LogLevel level, std::string_view message) {
    // Podman reads the log as one object, the error: what is less goes there only when someone
    // asked, or where a warning is the user's only sign (contract section 14.1).
    const std::string id = id_to_create(*app);
    if (level == LogLevel::warning) cli::append_log_entry(options, {"warning", message, id});
    if (options.debug && level == LogLevel::debug)
      cli::append_log_entry(options, {"debug", message, id});
  });
  const auto report = [&](const std::string& message) {
    cli::report_error(options, message, id_to_create(*app));
  };
  try {
    std::vector<std::string> words = cli::spell_out(*app, {argv + std::min(argc, 1), argv + argc});
    std::reverse(words.begin(), words.end());  // as CLI11 takes them
    app->parse(std::move(words));
    return status;
  } catch (const CLI::Success& e) {  // --help, --version
    return app->exit(e);
  } catch (const CLI::ParseError& e) {
    return std::max(status, report_usage(*app, e, report));
  } catch (const std::exception& e) {
    report(describe(*app, e.what()));
  }
  const std::optional<int> signal = cancelled_by();
  if (signal) return 128 + *signal;
  return status != 0 ? status : 1;
}
