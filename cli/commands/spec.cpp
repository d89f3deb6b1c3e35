// SPDX-License-Identifier: Apache-2.0
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string_view>

#include "cli/options.hpp"
#include "lib/base/error.hpp"
#include "lib/base/files.hpp"
#include "lib/oci/example.hpp"

namespace husk::cli {
namespace {

using nlohmann::ordered_json;

/// Every key of the example, in the order of runc's structs. No two of those disagree.
constexpr std::string_view keys[] = {"ociVersion",  "process",      "root",
                                     "hostname",    "domainname",   "terminal",
                                     "consoleSize", "user",         "uid",
                                     "gid",         "args",         "env",
                                     "cwd",         "capabilities", "bounding",
                                     "effective",   "inheritable",  "permitted",
                                     "ambient",     "rlimits",      "noNewPrivileges",
                                     "mounts",      "destination",  "allow",
                                     "type",        "path",         "readonly",
                                     "hard",        "soft",         "source",
                                     "options",     "access",       "annotations",
                                     "linux",       "uidMappings",  "gidMappings",
                                     "containerID", "hostID",       "size",
                                     "resources",   "cgroupsPath",  "namespaces",
                                     "devices",     "maskedPaths",  "readonlyPaths"};

ordered_json in_order(const nlohmann::json& json) {
  if (json.is_array()) {
    ordered_json list = ordered_json::array();
    for (const nlohmann::json& element : json) list.push_back(in_order(element));
    return list;
  }
  if (!json.is_object()) return json;
  ordered_json object = ordered_json::object();
  for (const std::string_view key : keys) {
    if (const auto found = json.find(key); found != json.end())
      object[std::string(key)] = in_order(*found);
  }
  for (const auto& [key, value] : json.items()) {
    if (!object.contains(key)) object[key] = in_order(value);
  }
  return object;
}

}  // namespace

void add_spec(CLI::App& app) {
  struct Flags {
    std::filesystem::path bundle = ".";
    bool rootless = false;
  };
  CLI::App* command = app.add_subcommand("spec", "write an example config.json");
  auto flags = std::make_shared<Flags>();
  command->add_option("-b,--bundle", flags->bundle,
                      "bundle directory to write config.json to (default: the current directory)");
  command->add_flag("--rootless", flags->rootless,
                    "add a user namespace with the caller's UID and GID");
  command->callback([flags] {
    const std::filesystem::path path = given_bundle(flags->bundle) / "config.json";
    if (std::filesystem::exists(path)) {
      throw Error(Errc::already_exists,
                  "File " + path.filename().string() + " exists. Remove it first");
    }
    const nlohmann::json json = oci::example_spec(flags->rootless, ::geteuid(), ::getegid());
    write_file_atomic(path, in_order(json).dump(1, '\t') + "\n", 0666);
  });
}

}  // namespace husk::cli
