// SPDX-License-Identifier: Apache-2.0
// The whole command line. Parsing words with it runs the command that they name.
#pragma once

#include <CLI/CLI.hpp>
#include <memory>

#include "cli/options.hpp"

namespace husk::cli {

/// Both arguments must outlive the app. status: what husk exits with, also after a failure unless it is 0.
std::unique_ptr<CLI::App> make_app(GlobalOptions& options, int& status);

}  // namespace husk::cli
