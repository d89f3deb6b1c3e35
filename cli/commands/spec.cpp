// SPDX-License-Identifier: Apache-2.0
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "cli/options.hpp"
#include "lib/base/error.hpp"
#include "lib/base/files.hpp"
#include "lib/oci/example.hpp"

namespace husk::cli {

void add_spec(CLI::App& app) {
  struct Flags {
    std::filesystem::path bundle = ".";
    bool rootless = false;
  };
  CLI::App* command = app.add_subcommand("spec", "write a config.json to start from");
  auto flags = std::make_shared<Flags>();
  command->add_option("-b,--bundle", flags->bundle,
                      "directory to write it to (default: the current one)");
  command->add_flag("--rootless", flags->rootless, "for a user namespace of the caller's ids");
  command->callback([flags] {
    const std::filesystem::path path = given_bundle(flags->bundle) / "config.json";
    if (std::filesystem::exists(path)) {
      throw Error(Errc::already_exists,
                  "File " + path.filename().string() + " exists. Remove it first");
    }
    const nlohmann::json json = oci::example_spec(flags->rootless, ::geteuid(), ::getegid());
    write_file_atomic(path, json.dump(1, '\t') + "\n", 0666);
  });
}

}  // namespace husk::cli
