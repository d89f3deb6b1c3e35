// SPDX-License-Identifier: Apache-2.0
#include "lib/runtime/state_store.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>
#include <thread>

#include "lib/base/error.hpp"
#include "lib/base/files.hpp"
#include "lib/oci/bundle.hpp"
#include "lib/oci/check.hpp"

namespace husk::runtime {
namespace {

namespace fs = std::filesystem;

constexpr const char* record_file = "state.json";
constexpr std::size_t max_record_bytes = 4U << 20;
constexpr std::chrono::seconds lock_patience{10};

void write_record(const fs::path& directory, const ContainerRecord& record) {
  const std::string text =
      nlohmann::json(record).dump(2, ' ', false, nlohmann::json::error_handler_t::replace);
  write_file_atomic(directory / record_file, text, 0600);
}

UniqueFd open_lock(const fs::path& directory) {
  // The directory itself is the lock: nothing more to clean up.
  return UniqueFd{check_sys(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC),
                            "open state directory " + directory.string())};
}

}  // namespace

StateDir::~StateDir() {
  if (!keep_ && lock_) {
    std::error_code ignored;  // a destructor cannot say it; the next create of this id would
    fs::remove_all(path_, ignored);
  }
}

void StateDir::save(const ContainerRecord& record) const { write_record(path_, record); }

StateDir StateStore::reserve(const std::string& id) const {
  oci::check_container_id(id);
  fs::create_directories(root_);
  const fs::path path = directory(id);
  if (::mkdir(path.c_str(), 0700) != 0) {
    if (errno == EEXIST)
      throw Error(Errc::already_exists, "container with given ID already exists");
    throw_errno("make state directory " + path.string());
  }
  UniqueFd lock = open_lock(path);
  check_sys(::flock(lock.get(), LOCK_EX), "lock " + path.string());
  return {path, std::move(lock)};
}

ContainerRecord StateStore::load(const std::string& id) const {
  oci::check_container_id(id);
  const fs::path path = directory(id) / record_file;
  std::string text;
  try {
    text = read_file(path, max_record_bytes);
  } catch (const Error& e) {
    if (e.sys_errno() == ENOENT) throw Error(Errc::not_found, "container does not exist");
    throw;
  }
  return step("state of container " + id,
              [&] { return oci::parse_json(text, path.string()).get<ContainerRecord>(); });
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

std::optional<UniqueFd> StateStore::lock(const std::string& id) const {
  oci::check_container_id(id);
  if (!exists(id)) throw Error(Errc::not_found, "container does not exist");
  UniqueFd lock = open_lock(directory(id));
  const auto deadline = std::chrono::steady_clock::now() + lock_patience;
  while (::flock(lock.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) throw_errno("lock container " + id);
    if (std::chrono::steady_clock::now() > deadline) return std::nullopt;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return lock;
}

bool StateStore::is_locked(const std::string& id) const {
  const UniqueFd lock = open_lock(directory(id));
  return ::flock(lock.get(), LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
}

}  // namespace husk::runtime
