// SPDX-License-Identifier: Apache-2.0
#include "lib/check/engines.hpp"

#define TOML_EXCEPTIONS 1
#include <toml++/toml.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <sstream>

#include "lib/base/error.hpp"
#include "lib/base/files.hpp"
#include "lib/base/text.hpp"

namespace husk::check {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr std::size_t max_file_bytes = 1U << 20, max_files = 100;

bool is_husk(std::string_view program) { return fs::path(program).filename() == "husk"; }

bool docker_names_husk(const std::string& text) {
  const json daemon = json::parse(text);
  const auto runtimes = daemon.find("runtimes");
  if (runtimes == daemon.end() || !runtimes->is_object()) return false;
  return std::ranges::any_of(*runtimes, [](const json& runtime) {
    return runtime.is_object() && runtime.contains("path") && runtime["path"].is_string() &&
           is_husk(runtime["path"].get_ref<const std::string&>());
  });
}

/// Whether a string of the document, which may be in an array, is the path of a program of husk's.
bool has_path(const toml::node& node) {
  if (const auto* const table = node.as_table())
    return std::ranges::any_of(*table, [](const auto& pair) { return has_path(pair.second); });
  if (const auto* const array = node.as_array())
    return std::ranges::any_of(*array, [](const toml::node& one) { return has_path(one); });
  const auto* const text = node.as_string();
  return text != nullptr && text->get().starts_with('/') && is_husk(text->get());
}

bool toml_names_husk(const std::string& text) { return has_path(toml::parse(text)); }

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
  bool (*names_husk)(const std::string& text);
};

std::vector<KnownEngine> known_engines() {
  return {
      {"Docker",
       {"usr/bin/dockerd", "usr/sbin/dockerd"},
       {"etc/docker/daemon.json"},
       "etc/docker/daemon.json",
       docker_names_husk},
      {"Podman",
       {"usr/bin/podman"},
       {"usr/share/containers/containers.conf", "usr/share/containers/containers.conf.d",
        "etc/containers/containers.conf", "etc/containers/containers.conf.d"},
       "etc/containers/containers.conf.d/husk.conf",
       toml_names_husk},
      {"CRI-O",
       {"usr/bin/crio", "usr/local/bin/crio"},
       {"etc/crio/crio.conf", "etc/crio/crio.conf.d"},
       "etc/crio/crio.conf.d/10-husk.conf",
       toml_names_husk},
      // Docker's packages bring containerd as well: of interest where kubelet uses it.
      {"containerd",
       {"usr/bin/kubelet", "usr/local/bin/kubelet"},
       {"etc/containerd/config.toml", "etc/containerd/conf.d"},
       "etc/containerd/config.toml",
       toml_names_husk},
  };
}

bool is_installed(const fs::path& root, const KnownEngine& engine) {
  const auto is_there = [&](const std::string& path) { return fs::exists(root / path); };
  if (!std::ranges::any_of(engine.programs, is_there)) return false;
  return std::string_view(engine.name) != "containerd" || is_there("usr/bin/containerd") ||
         is_there("usr/local/bin/containerd");
}

Engine read(const fs::path& root, const KnownEngine& known) {
  Engine engine{.name = known.name, .file = root / known.usual_file};
  for (const fs::path& file : existing(root, known.configuration)) {
    try {
      if (!known.names_husk(read_file(file, max_file_bytes))) continue;
      engine.file = file;
      engine.knows_husk = true;
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
