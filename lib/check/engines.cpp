// SPDX-License-Identifier: Apache-2.0
#include "lib/check/engines.hpp"

#define TOML_EXCEPTIONS 1
#include <toml++/toml.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>

#include "lib/base/error.hpp"
#include "lib/base/files.hpp"
#include "lib/base/text.hpp"
#include "lib/check/program_error.hpp"

namespace husk::check {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr std::size_t max_file_bytes = 1U << 20, max_files = 100;
constexpr std::chrono::seconds program_patience{5};

bool is_husk(std::string_view program) { return fs::path(program).filename() == "husk"; }

/// By the name of the key that has them: the programs of one runtime, of which an engine takes the first that is there.
/// A later file replaces the key of an earlier one.
using Programs = std::map<std::string, std::vector<std::string>>;

/// The paths of one key are kept only if husk is among them.
void add_programs(Programs& found, const std::string& key, std::vector<std::string> programs) {
  if (std::ranges::any_of(programs, is_husk)) found[key] = std::move(programs);
}

Programs find_docker_programs(const std::string& text) {
  Programs found;
  const json daemon = json::parse(text);
  const auto runtimes = daemon.find("runtimes");
  if (runtimes == daemon.end() || !runtimes->is_object()) return found;
  for (const auto& [name, runtime] : runtimes->items())
    if (runtime.is_object() && runtime.contains("path") && runtime["path"].is_string())
      add_programs(found, name, {runtime["path"].get<std::string>()});
  return found;
}

/// The absolute paths among the strings of the document: Podman has them in an array.
void find_toml_programs(Programs& found, const std::string& key, const toml::node& node) {
  if (const auto* const table = node.as_table()) {
    for (const auto& [name, value] : *table)
      find_toml_programs(found, key + "." + std::string(name.str()), value);
    return;
  }
  std::vector<std::string> programs;
  const auto add = [&programs](const toml::node& one) {
    const auto* const text = one.as_string();
    if (text != nullptr && text->get().starts_with('/')) programs.push_back(text->get());
  };
  add(node);
  if (const auto* const array = node.as_array()) {
    for (const toml::node& one : *array) {
      add(one);
      if (one.is_table() || one.is_array()) find_toml_programs(found, key, one);
    }
  }
  add_programs(found, key, std::move(programs));
}

Programs find_programs(const std::string& text) {
  Programs found;
  find_toml_programs(found, "", toml::parse(text));
  return found;
}

/// The reason why the last path cannot be executed; empty where one of them can be executed. A name without a folder is looked up in the engine's PATH,
/// which is not known.
std::string find_error_of_all(const fs::path& root, const std::vector<std::string>& programs) {
  std::string error;
  for (const std::string& program : programs) {
    if (!program.starts_with('/')) return {};
    error = find_program_error(root / fs::path(program).relative_path(), program_patience);
    if (error.empty()) return {};
  }
  return error;
}

/// The files in the order in which an engine reads them; those that are there.
std::vector<fs::path> existing(const fs::path& root, const std::vector<std::string>& places) {
  std::vector<fs::path> files;
  for (const std::string& place : places) {
    const fs::path path = root / place;
    std::error_code unreadable;
    if (fs::is_regular_file(path, unreadable)) files.push_back(path);
    if (!fs::is_directory(path, unreadable)) continue;
    std::vector<fs::path> inside;
    for (const auto& entry : fs::directory_iterator(path, unreadable))
      if (inside.size() < max_files && entry.is_regular_file(unreadable) &&
          (entry.path().extension() == ".conf" || entry.path().extension() == ".toml"))
        inside.push_back(entry.path());
    std::ranges::sort(inside);
    files.insert(files.end(), inside.begin(), inside.end());
  }
  return files;
}

struct KnownEngine {
  const char* name;
  std::vector<std::string> programs, configuration;
  const char* usual_file;
  Programs (*find)(const std::string& text);
};

std::vector<KnownEngine> known_engines() {
  return {
      {"Docker",
       {"usr/bin/dockerd", "usr/sbin/dockerd"},
       {"etc/docker/daemon.json"},
       "etc/docker/daemon.json",
       find_docker_programs},
      {"Podman",
       {"usr/bin/podman"},
       {"usr/share/containers/containers.conf", "usr/share/containers/containers.conf.d",
        "etc/containers/containers.conf", "etc/containers/containers.conf.d"},
       "etc/containers/containers.conf.d/husk.conf",
       find_programs},
      {"CRI-O",
       {"usr/bin/crio", "usr/local/bin/crio"},
       {"etc/crio/crio.conf", "etc/crio/crio.conf.d"},
       "etc/crio/crio.conf.d/10-husk.conf",
       find_programs},
      // Docker's packages bring containerd as well: of interest where kubelet uses it.
      {"containerd",
       {"usr/bin/kubelet", "usr/local/bin/kubelet"},
       {"etc/containerd/config.toml", "etc/containerd/conf.d"},
       "etc/containerd/config.toml",
       find_programs},
  };
}

bool is_installed(const fs::path& root, const KnownEngine& engine) {
  const auto is_there = [&](const std::string& path) { return fs::exists(root / path); };
  if (!std::ranges::any_of(engine.programs, is_there)) return false;
  return std::string_view(engine.name) != "containerd" || is_there("usr/bin/containerd") ||
         is_there("usr/local/bin/containerd");
}

/// A program in a file, by its key.
struct Named {
  fs::path file;
  std::vector<std::string> programs;
};

void look_at_programs(Engine& engine, const fs::path& root,
                      const std::map<std::string, Named>& runtimes) {
  for (const auto& [key, named] : runtimes) {
    engine.program_error = find_error_of_all(root, named.programs);
    if (engine.program_error.empty()) continue;
    engine.file = named.file;
    return;
  }
}

Engine read(const fs::path& root, const KnownEngine& known) {
  Engine engine{.name = known.name, .file = root / known.usual_file};
  std::map<std::string, Named> runtimes;
  for (const fs::path& file : existing(root, known.configuration)) {
    try {
      const Programs found = known.find(read_file(file, max_file_bytes));
      if (found.empty()) continue;
      engine.file = file;
      engine.knows_husk = true;
      for (const auto& [key, programs] : found) runtimes[key] = {file, programs};
    } catch (const toml::parse_error& error) {
      std::ostringstream where;
      where << file.string() << ":" << error.source().begin.line << ": " << error.description();
      engine.error = one_line(where.str());
    } catch (const json::exception& error) {
      engine.error = one_line(file.string() + ": " + error.what());
    } catch (const Error& error) {
      engine.error = error.what();
    }
  }
  look_at_programs(engine, root, runtimes);
  return engine;
}

}  // namespace

std::vector<Engine> find_engines(const fs::path& root) {
  std::vector<Engine> engines;
  for (const KnownEngine& known : known_engines())
    if (is_installed(root, known)) engines.push_back(read(root, known));
  return engines;
}

}  // namespace husk::check
