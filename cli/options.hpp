// SPDX-License-Identifier: Apache-2.0
// Flags as plain values, with runc's names and defaults.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "lib/runtime/runtime.hpp"

namespace CLI {
class App;
}

namespace husk::cli {

struct GlobalOptions {
  std::filesystem::path root = "/run/husk";
  std::optional<std::filesystem::path> config;  ///< default: /etc/husk/config.toml, if it exists
  std::filesystem::path log;                    ///< empty: none
  std::string log_format = "text";
  bool debug = false, systemd_cgroup = false;
  std::string ignored;  ///< values of options that are accepted only
};

/// What a command needs; made when the command runs, so that --version and spec touch nothing.
runtime::Runtime make_runtime(const GlobalOptions& options);
/// The configuration file that holds; it may be missing where nobody named one. Throws invalid_argument.
std::filesystem::path config_file(const GlobalOptions& options);

// Each adds its subcommand; `status` is what husk exits with when the command succeeded.
void add_create(CLI::App& app, const GlobalOptions& options);
void add_start(CLI::App& app, const GlobalOptions& options);
void add_kill(CLI::App& app, const GlobalOptions& options);
void add_pause(CLI::App& app, const GlobalOptions& options);
void add_resume(CLI::App& app, const GlobalOptions& options);
void add_update(CLI::App& app, const GlobalOptions& options);
void add_events(CLI::App& app, const GlobalOptions& options);
void add_delete(CLI::App& app, const GlobalOptions& options);
void add_state(CLI::App& app, const GlobalOptions& options);
void add_list(CLI::App& app, const GlobalOptions& options);
void add_ps(CLI::App& app, const GlobalOptions& options);
void add_run(CLI::App& app, const GlobalOptions& options, int& status);
/// status: 255 where husk itself failed.
void add_exec(CLI::App& app, const GlobalOptions& options, int& status);
void add_spec(CLI::App& app);
void add_features(CLI::App& app);
void add_setup(CLI::App& app);
void add_env(CLI::App& app, const GlobalOptions& options);
void add_check(CLI::App& app, const GlobalOptions& options, int& status);
void add_unsupported(CLI::App& app);
void add_internal(CLI::App& app, const GlobalOptions& options);
void add_pool(CLI::App& app, const GlobalOptions& options);

/// For commands whose options end with the container's id: words is what follows the options that
/// are known. Throws invalid_argument for an option that is none, or no id.
void check_id_first(const std::string& command, const std::vector<std::string>& words);

/// create's flags, which run has too.
struct BundleOptions {
  std::string id;
  std::filesystem::path bundle = ".";
  std::string pid_file, console_socket, pidfd_socket;
  unsigned preserve_fds = 0;
  bool ignored = false;  ///< value of flags that are accepted only; CLI11 checks it
};
void add_bundle_options(CLI::App& command, BundleOptions& options);
/// Absolute paths; throws unsupported for flags that husk cannot honour yet.
runtime::CreateRequest make_request(const BundleOptions& options, const GlobalOptions& global);

/// --bundle's path, absolute and without symbolic links, as runc's; an empty one is the current
/// directory.
std::filesystem::path given_bundle(const std::filesystem::path& value);
/// An option's path, absolute; an empty one is as good as none.
std::optional<std::filesystem::path> given_path(const std::string& value);
/// Throws unsupported.
void refuse_preserved_fds(unsigned count);

}  // namespace husk::cli
