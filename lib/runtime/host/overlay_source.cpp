// SPDX-License-Identifier: Apache-2.0
#include "lib/runtime/host/overlay_source.hpp"

#include <fcntl.h>

#include "lib/base/error.hpp"
#include "lib/base/files.hpp"
#include "lib/runtime/host/mount_tree.hpp"

namespace husk::runtime {
namespace {

UniqueFd open_layer(const char* option, const std::filesystem::path& directory) {
  return UniqueFd{check_sys(::open(directory.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC),
                            std::string(option) + " " + directory.string())};
}

}  // namespace

UniqueFd make_overlay(const OverlaySource& source) {
  // By descriptors: fsconfig(2) takes 255 bytes for all lower directories, and a name may have the characters that
  // separate the names.
  std::vector<UniqueFd> open;
  std::string lower;
  for (const std::filesystem::path& directory : source.lower) {
    open.push_back(open_layer("lowerdir", directory));
    lower += (lower.empty() ? "" : ":") + fd_path(open.back().get());
  }
  std::vector<std::pair<std::string, std::string>> options = source.options;
  options.emplace_back("lowerdir", lower);
  if (!source.upper.empty()) {
    open.push_back(open_layer("upperdir", source.upper));
    options.emplace_back("upperdir", fd_path(open.back().get()));
    open.push_back(open_layer("workdir", source.work));
    options.emplace_back("workdir", fd_path(open.back().get()));
  }
  const std::string name = source.lower.front().string();
  return make_filesystem("overlay", name.size() < 256 ? name : "overlay", options);
}

}  // namespace husk::runtime
