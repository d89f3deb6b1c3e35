// SPDX-License-Identifier: Apache-2.0
#include "lib/runtime/record/state_directory.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "lib/base/error.hpp"
#include "lib/base/files.hpp"
#include "lib/base/ownership.hpp"
#include "lib/base/text.hpp"

namespace husk::runtime {
namespace {

namespace fs = std::filesystem;

constexpr const char* record_file = "state.json";
/// More than any config.json that husk reads can grow to: the hooks and annotations of one of 8
/// MiB, each byte written as \u00XX.
constexpr std::size_t max_record_bytes = 64U << 20;

UniqueFd open_directory(const fs::path& path) {
  UniqueFd opened{::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW)};
  if (!opened && errno != ENOENT) throw_errno("open " + path.string());
  return opened;
}

/// write_file_atomic's temporary files are husk's as well: a save may have been killed.
bool is_own_name(const std::string& name) {
  return name == record_file || name.starts_with(std::string(".") + record_file + ".");
}

void check_own_names(int directory, const fs::path& path) {
  for (const std::string& name : names_in(directory))
    if (!is_own_name(name))
      throw Error(Errc::invalid_argument,
                  path.string() + ": contains " + quote(name) + ", which husk did not create");
}

/// Makes directories with a mode of their own: a caller's umask of 0 must not let others write.
void make_parents(const fs::path& root) {
  fs::path walked;
  for (const fs::path& part : root.parent_path()) {
    walked /= part;
    if (::mkdir(walked.c_str(), 0755) != 0 && errno != EEXIST && errno != EROFS)
      throw_errno("make directory " + walked.string());
  }
}

}  // namespace

fs::path record_path(const fs::path& directory) { return directory / record_file; }

void write_record(const fs::path& directory, const ContainerRecord& record) {
  const std::string text =
      nlohmann::json(record).dump(2, ' ', false, nlohmann::json::error_handler_t::replace);
  if (text.size() > max_record_bytes)
    throw Error(Errc::invalid_argument, "state of container " + record.id + ": larger than " +
                                            std::to_string(max_record_bytes) + " bytes");
  write_file_atomic(directory / record_file, text, 0600);
}

std::optional<std::string> find_record(const fs::path& path) {
  const UniqueFd directory = open_directory(path);
  if (!directory) return std::nullopt;
  const UniqueFd file{::openat(directory.get(), record_file,
                               O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC)};
  if (!file && errno == ENOENT) return std::nullopt;
  check_sys(file.get(), "open " + (path / record_file).string());
  check_own_file(directory.get(), path);
  check_own_file(file.get(), path / record_file);
  return read_all(file.get(), max_record_bytes, (path / record_file).string());
}

void check_own_directory(const fs::path& path) {
  const UniqueFd opened = open_directory(path);
  if (!opened) return;
  check_own_file(opened.get(), path);
  check_own_names(opened.get(), path);
}

void remove_state_directory(const fs::path& path) {
  const UniqueFd directory = open_directory(path);
  if (!directory) return;
  check_own_names(directory.get(), path);
  for (const std::string& name : names_in(directory.get()))
    if (::unlinkat(directory.get(), name.c_str(), 0) != 0 && errno != ENOENT)
      throw_errno("remove " + (path / name).string());
  if (::rmdir(path.c_str()) != 0 && errno != ENOENT) throw_errno("remove " + path.string());
}

void make_state_root(const fs::path& path) {
  fs::path root = fs::absolute(path).lexically_normal();
  if (!root.has_filename()) root = root.parent_path();  // "/x/" is "/x"
  make_parents(root);
  // A container's state holds hooks and annotations: only the owner may read it.
  if (::mkdir(root.c_str(), 0700) != 0 && errno != EEXIST)
    throw_errno("make directory " + root.string());
  const UniqueFd made{
      check_sys(::open(root.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC), "open " + root.string())};
  check_own_file(made.get(), root);
}

}  // namespace husk::runtime
