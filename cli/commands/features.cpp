// SPDX-License-Identifier: Apache-2.0
#include "lib/oci/features.hpp"

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "cli/options.hpp"
#include "cli/report.hpp"

namespace husk::cli {

void add_features(CLI::App& app) {
  app.add_subcommand("features", "print the OCI features of husk and its guest as JSON")
      ->callback([] { print(oci::features().dump(2) + "\n"); });
}

}  // namespace husk::cli
