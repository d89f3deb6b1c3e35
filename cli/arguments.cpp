// SPDX-License-Identifier: Apache-2.0
#include <CLI/CLI.hpp>

#include "cli/options.hpp"
#include "lib/base/error.hpp"

namespace husk::cli {

namespace fs = std::filesystem;

constexpr const char* default_config = "/etc/husk/config.toml";

fs::path config_file(const GlobalOptions& options) {
  // The default one need not exist; one that somebody named must.
  if (options.config && !fs::exists(*options.config))
    throw Error(Errc::invalid_argument,
                "--config: " + options.config->string() + " does not exist");
  return options.config.value_or(default_config);
}

runtime::Runtime make_runtime(const GlobalOptions& options) {
  if (options.root.empty() || options.root.lexically_normal() == "/") {
    throw Error(Errc::invalid_argument, "--root: must be a directory other than \"/\"");
  }
  return {fs::absolute(options.root), runtime::load_config(config_file(options)),
          runtime::find_install_paths()};
}

void check_id_first(const std::string& command, const std::vector<std::string>& words) {
  if (words.empty()) throw Error(Errc::invalid_argument, command + ": a container id is required");
  if (words.front().starts_with("-"))
    throw Error(Errc::invalid_argument, command + ": unknown option " + words.front());
}

void add_bundle_options(CLI::App& command, BundleOptions& options) {
  command.add_option("container-id", options.id, "ID of the new container")->required();
  command.add_option("-b,--bundle", options.bundle,
                     "bundle directory (default: the current directory)");
  command.add_option("--pid-file", options.pid_file, "file to write the process ID to");
  command.add_option("--console-socket", options.console_socket,
                     "Unix socket that receives a file descriptor of the terminal's master");
  command.add_option("--pidfd-socket", options.pidfd_socket,
                     "Unix socket that receives a pidfd of the container's process");
  command.add_option("--preserve-fds", options.preserve_fds,
                     "number of additional file descriptors to pass; only 0 is supported");
  command.add_flag("--no-pivot", options.ignored, "ignored (for compatibility with runc)");
  command.add_flag("--no-new-keyring", options.ignored, "ignored (for compatibility with runc)");
}

runtime::CreateRequest make_request(const BundleOptions& options, const GlobalOptions& global) {
  refuse_preserved_fds(options.preserve_fds);
  runtime::CreateRequest request{.id = options.id,
                                 .bundle = given_bundle(options.bundle),
                                 .pid_file = given_path(options.pid_file),
                                 .pidfd_socket = given_path(options.pidfd_socket),
                                 .streams = {},
                                 .systemd_cgroup = global.systemd_cgroup};
  request.streams.console_socket = given_path(options.console_socket);
  return request;
}

fs::path given_bundle(const fs::path& value) {
  const fs::path bundle = value.empty() ? "." : value;
  std::error_code error;
  const fs::path real = fs::canonical(bundle, error);
  return error ? fs::absolute(bundle).lexically_normal() : real;  // who reads it says what is wrong
}

std::optional<fs::path> given_path(const std::string& value) {
  return value.empty() ? std::nullopt : std::optional(fs::absolute(value));
}

void refuse_preserved_fds(unsigned count) {
  if (count != 0)
    throw Error(Errc::unsupported, "--preserve-fds: file descriptors cannot be passed into a VM");
}

}  // namespace husk::cli
