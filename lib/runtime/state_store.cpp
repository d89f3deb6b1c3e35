// SPDX-License-Identifier: Apache-2.0
#include "lib/runtime/state_store.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>

#include "lib/base/error.hpp"
#include "lib/base/files.hpp"
#include "lib/oci/bundle.hpp"
#include "lib/oci/check.hpp"

namespace husk::runtime {
namespace {

namespace fs = std::filesystem;

constexpr const char* record_file = "state.json";
/// More than any config.json that husk reads can grow to: the hooks and annotations of one of 8
/// MiB, each byte written as \u00XX.
constexpr std::size_t max_record_bytes = 64U << 20;
constexpr std::chrono::seconds lock_patience{10};

void write_record(const fs::path& directory, const ContainerRecord& record) {
  const std::string text =
      nlohmann::json(record).dump(2, ' ', false, nlohmann::json::error_handler_t::replace);
  if (text.size() > max_record_bytes)
    throw Error(Errc::invalid_argument, "state of container " + record.id + ": larger than " +
                                            std::to_string(max_record_bytes) + " bytes");
  write_file_atomic(directory / record_file, text, 0600);
}

std::string read_record(const fs::path& path) {
  try {
    return read_file(path, max_record_bytes);
  } catch (const Error& e) {
    if (e.sys_errno() == ENOENT) throw Error(Errc::not_found, "container does not exist");
    throw;
  }
}

/// What a container's state tells is its owner's business: hooks and annotations.
void make_root(const fs::path& root) {
  if (root.has_parent_path()) fs::create_directories(root.parent_path());
  if (::mkdir(root.c_str(), 0700) != 0 && errno != EEXIST)
    throw_errno("make directory " + root.string());
}

}  // namespace

StateDir::~StateDir() {
  if (keep_) return;
  std::error_code ignored;  // a destructor cannot say it; the next create of this id would
  fs::remove_all(path_, ignored);
}

void StateDir::save(const ContainerRecord& record) const { write_record(path_, record); }

StateDir StateStore::reserve(const std::string& id) const {
  oci::check_container_id(id);
  make_root(root_);
  const fs::path path = directory(id);
  for (;;) {
    if (::mkdir(path.c_str(), 0700) != 0) {
      if (errno == EEXIST)
        throw Error(Errc::already_exists, "container with given ID already exists");
      throw_errno("make state directory " + path.string());
    }
    // A delete --force may be quicker than we are, and take away what looks like a stray directory.
    DirectoryLock::Failure failure{};
    if (auto lock = DirectoryLock::acquire(path, lock_patience, failure))
      return StateDir(path, std::move(*lock));
    if (failure == DirectoryLock::Failure::timed_out)
      throw Error(Errc::timed_out, "another command is at work on the container");
  }
}

ContainerRecord StateStore::load(const std::string& id) const {
  oci::check_container_id(id);
  const fs::path path = directory(id) / record_file;
  const std::string text = read_record(path);
  return step("state of container " + id,
              [&] { return oci::parse_json(text, path.string()).get<ContainerRecord>(); });
}

KnownContainer StateStore::load_with_state(const std::string& id) const {
  ContainerRecord record = load(id);
  const bool create_at_work = !record.shim && is_locked(id);
  // Again, since create may have added the shim and let go in between.
  if (!record.shim) record = load(id);
  const ContainerState state = state_of(record, create_at_work);
  return {.record = std::move(record), .state = state};
}

std::optional<LeftOvers> StateStore::load_left_overs(const std::string& id) const {
  oci::check_container_id(id);
  const fs::path path = directory(id) / record_file;
  if (!fs::exists(path)) return std::nullopt;
  return step("state of container " + id, [&] {
    const nlohmann::json json = oci::parse_json(read_record(path), path.string());
    if (!json.is_object())
      throw Error(Errc::invalid_argument, path.string() + ": is no JSON object");
    return read_left_overs(json);
  });
}

void StateStore::save(const ContainerRecord& record) const {
  write_record(directory(record.id), record);
}

void StateStore::remove(const std::string& id) const {
  oci::check_container_id(id);
  fs::remove_all(directory(id));
}

bool StateStore::exists(const std::string& id) const { return fs::exists(directory(id)); }

std::vector<std::string> StateStore::ids() const {
  std::vector<std::string> found;
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(root_, error)) {
    if (fs::exists(entry.path() / record_file, error))
      found.push_back(entry.path().filename().string());
  }
  std::sort(found.begin(), found.end());
  return found;
}

std::optional<DirectoryLock> StateStore::lock(const std::string& id) const {
  oci::check_container_id(id);
  DirectoryLock::Failure failure{};
  auto lock = DirectoryLock::acquire(directory(id), lock_patience, failure);
  if (!lock && failure == DirectoryLock::Failure::gone)
    throw Error(Errc::not_found, "container does not exist");
  return lock;
}

DirectoryLock StateStore::take_lock_over(const std::string& id) const {
  if (const auto holder = find_lock_holder(directory(id))) kill_process(*holder, lock_patience);
  if (auto taken = lock(id)) return std::move(*taken);
  throw Error(Errc::timed_out, "another command is at work on the container and cannot be ended");
}

bool StateStore::is_locked(const std::string& id) const { return husk::is_locked(directory(id)); }

}  // namespace husk::runtime
