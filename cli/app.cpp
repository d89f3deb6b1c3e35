// SPDX-License-Identifier: Apache-2.0
#include "cli/app.hpp"

#include "lib/base/text.hpp"

namespace husk::cli {
namespace {

/// The form is runc's: docker info shows what follows "version" and "commit:".
constexpr const char* version_text = "husk version " HUSK_VERSION
#ifdef HUSK_COMMIT
                                     "\ncommit: " HUSK_COMMIT
#endif
                                     "\nspec: 1.2.0";

void add_global_options(CLI::App& app, GlobalOptions& options) {
  app.add_option("--root", options.root,
                 "root directory for the state of containers (default: /run/husk)");
  app.add_option("--config", options.config, "configuration file (default: /etc/husk/config.toml)");
  app.add_option("--log", options.log, "file to append errors and warnings to");
  app.add_option("--log-format", options.log_format,
                 "format of the log: text or json (default: text)")
      ->check(CLI::Validator(
          [](const std::string& format) {
            const bool is_known = format.empty() || format == "text" || format == "json";
            return is_known ? std::string() : quote(format) + " is neither text nor json";
          },
          "{text,json}"));
  app.add_flag("--debug", options.debug, "write debug messages to the log");
  app.add_flag("--systemd-cgroup", options.systemd_cgroup,
               "create cgroups through systemd; cgroupsPath has the form slice:prefix:name");
  app.add_option("--rootless", options.ignored, "ignored (for compatibility with runc)");
  app.add_option("--criu", options.ignored, "ignored (for compatibility with runc)");
  app.set_version_flag("-v,--version", std::string(version_text));
}

}  // namespace

std::unique_ptr<CLI::App> make_app(GlobalOptions& options, int& status) {
  auto app = std::make_unique<CLI::App>("run OCI containers in virtual machines", "husk");
  app->require_subcommand(1);
  // A wrapper of dockerd's runtimeArgs or Podman's --runtime-flag puts its own before the caller's.
  app->option_defaults()->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
  add_global_options(*app, options);
  add_create(*app, options);
  add_start(*app, options);
  add_state(*app, options);
  add_kill(*app, options);
  add_pause(*app, options);
  add_resume(*app, options);
  add_update(*app, options);
  add_events(*app, options);
  add_delete(*app, options);
  add_run(*app, options, status);
  add_exec(*app, options, status);
  add_list(*app, options);
  add_ps(*app, options);
  add_spec(*app);
  add_features(*app);
  add_setup(*app);
  add_env(*app, options);
  add_check(*app, options, status);
  add_unsupported(*app);
  add_pool(*app, options);
  add_internal(*app, options);
  return app;
}

}  // namespace husk::cli
