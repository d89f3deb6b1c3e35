// SPDX-License-Identifier: Apache-2.0
#include "lib/runtime/record/state_store.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>

#include "lib/base/error.hpp"
#include "lib/base/log.hpp"
#include "lib/base/text.hpp"
#include "lib/oci/bundle.hpp"
#include "lib/oci/check.hpp"
#include "lib/runtime/record/state_directory.hpp"

namespace husk::runtime {
namespace {

namespace fs = std::filesystem;

constexpr std::chrono::seconds container_lock_patience{10}, root_lock_patience{30};

nlohmann::json parse(const std::string& text, const fs::path& directory) {
  return oci::parse_json(text, record_path(directory).string());
}

}  // namespace

StateDir::~StateDir() {
  if (keep_) return;
  warn_on_failure([&] { remove_state_directory(path_); });
}

void StateDir::save(const ContainerRecord& record) const { write_record(path_, record); }

DirectoryLock StateStore::lock_root() const {
  make_state_root(root_);
  auto lock = DirectoryLock::lock(root_, root_lock_patience, "the pods of " + root_.string() + ":");
  if (!lock) throw Error(Errc::not_found, root_.string() + ": was removed");
  return std::move(*lock);
}

StateDir StateStore::reserve(const std::string& id) const {
  oci::check_container_id(id);
  make_state_root(root_);
  const fs::path path = directory(id);
  for (;;) {
    if (::mkdir(path.c_str(), 0700) != 0) {
      if (errno == EEXIST)
        throw Error(Errc::already_exists, "container with given ID already exists");
      throw_errno("make state directory " + path.string());
    }
    // A delete --force may be quicker than we are, and take away what looks like a stray directory.
    if (auto lock = DirectoryLock::lock(path, container_lock_patience, "the container"))
      return StateDir(path, std::move(*lock));
  }
}

ContainerRecord StateStore::load(const std::string& id) const {
  oci::check_container_id(id);
  const std::optional<std::string> text = find_record(directory(id));
  if (!text) throw Error(Errc::not_found, "container does not exist");
  return step("state of container " + id, [&] {
    auto record = parse(*text, directory(id)).get<ContainerRecord>();
    if (record.id != id)
      throw Error(Errc::invalid_argument, "damaged state: belongs to " + quote(record.id));
    return record;
  });
}

KnownContainer StateStore::load_with_state(const std::string& id) const {
  ContainerRecord record = load(id);
  const bool create_at_work = !record.shim && is_locked(id);
  // Again, since create may have added the shim and let go in between.
  if (!record.shim) record = load(id);
  const ContainerState state = state_of(record, create_at_work);
  return {.record = std::move(record), .state = state};
}

ContainerRecord StateStore::load_for(Command command, const std::string& id) const {
  KnownContainer known = load_with_state(id);
  check_allowed(command, known.state, id);
  return std::move(known.record);
}

std::optional<LeftOvers> StateStore::load_left_overs(const std::string& id) const {
  oci::check_container_id(id);
  const std::optional<std::string> text = find_record(directory(id));
  if (!text) return std::nullopt;
  return step("state of container " + id, [&] {
    const nlohmann::json json = parse(*text, directory(id));
    if (!json.is_object())
      throw Error(Errc::invalid_argument,
                  record_path(directory(id)).string() + ": not a JSON object");
    return read_left_overs(json);
  });
}

void StateStore::check_own(const std::string& id) const {
  oci::check_container_id(id);
  check_own_directory(directory(id));
  load_left_overs(id);
}

void StateStore::save(const ContainerRecord& record) const {
  write_record(directory(record.id), record);
}

void StateStore::remove(const std::string& id) const {
  oci::check_container_id(id);
  remove_state_directory(directory(id));
}

bool StateStore::exists(const std::string& id) const { return fs::exists(directory(id)); }

std::vector<std::string> StateStore::ids() const {
  std::vector<std::string> found;
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(root_, error)) {
    if (fs::exists(record_path(entry.path()), error))
      found.push_back(entry.path().filename().string());
  }
  std::sort(found.begin(), found.end());
  return found;
}

DirectoryLock StateStore::lock(const std::string& id) const {
  oci::check_container_id(id);
  if (auto lock = DirectoryLock::lock(directory(id), container_lock_patience, "the container"))
    return std::move(*lock);
  throw Error(Errc::not_found, "container does not exist");
}

DirectoryLock StateStore::lock_by_force(const std::string& id) const {
  oci::check_container_id(id);
  if (auto lock = DirectoryLock::try_lock(directory(id), container_lock_patience))
    return std::move(*lock);
  return take_lock_over(id);
}

DirectoryLock StateStore::take_lock_over(const std::string& id) const {
  if (const auto holder = find_lock_holder(directory(id)))
    kill_process(*holder, container_lock_patience);
  try {
    return lock(id);
  } catch (const Error& e) {
    if (e.code() != Errc::timed_out) throw;
    throw Error(Errc::timed_out, std::string(e.what()) + ", which cannot be killed");
  }
}

bool StateStore::is_locked(const std::string& id) const { return husk::is_locked(directory(id)); }

}  // namespace husk::runtime
