// SPDX-License-Identifier: Apache-2.0
// The program husk, as callers call it.
#pragma once

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "lib/base/subprocess.hpp"
#include "test/lib/base/scratch.hpp"

namespace husk::test {

/// A root of its own, so that nothing of the machine's is seen.
struct CommandLine : Scratch {
  std::filesystem::path root = path() / "root", log = path() / "log";

  SubprocessResult operator()(std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), {"--root", root.string()});
    return plain(std::move(arguments));
  }
  static SubprocessResult plain(std::vector<std::string> arguments) {
    return run_subprocess({.program = HUSK_PROGRAM,
                           .arguments = std::move(arguments),
                           .argv0 = {},
                           .environment = {},
                           .stdin_text = {},
                           .timeout = std::chrono::seconds{60}});
  }
  /// A state as this husk writes it, of a container that has ended.
  void add_record(const std::string& id, const std::string& bundle = "/b") const {
    std::filesystem::create_directories(root / id);
    std::ofstream(root / id / "state.json")
        << nlohmann::json{{"version", 2},
                          {"id", id},
                          {"ociVersion", "1.0.2"},
                          {"created", "2026-01-02T03:04:05.678Z"},
                          {"owner", "root"},
                          {"bundle", bundle},
                          {"rootfs", "/b/rootfs"},
                          {"annotations", nlohmann::json::object()},
                          {"started", true},
                          {"vmId", "deadbeef"},
                          {"cgroups", nlohmann::json::array()},
                          {"unit", ""},
                          {"hooks", nlohmann::json::object()},
                          {"shim", {{"pid", 2000000000}, {"startTime", 1}}}};
  }
};

}  // namespace husk::test
