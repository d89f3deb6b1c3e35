// SPDX-License-Identifier: Apache-2.0
#include "lib/runtime/vm/spare.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "lib/base/error.hpp"
#include "lib/base/files.hpp"
#include "lib/base/log.hpp"
#include "lib/base/random_id.hpp"
#include "lib/guestcomm/protocol/vm_messages.hpp"
#include "lib/runtime/plan/vm_paths.hpp"
#include "lib/runtime/vm/leave_vm.hpp"
#include "lib/runtime/vm/other_mount_namespace.hpp"
#include "lib/runtime/vm/vm_handle.hpp"

namespace husk::runtime {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;
namespace fs = std::filesystem;

constexpr std::size_t max_mark_bytes = 64U << 10;

/// A spare that does not answer at once may never do. An emulated guest on a busy host takes its time, and a boot there takes
/// longer still.
std::chrono::milliseconds answer_patience(const VmRecord& vm) {
  return vm.accelerator == hypervisor::Accelerator::kvm ? 100ms : 2s;
}

using Clock = std::chrono::steady_clock;

struct Mark {
  std::string key;
  std::chrono::seconds since{};  ///< by the host's monotonic clock
};

std::chrono::seconds now() {
  return std::chrono::duration_cast<std::chrono::seconds>(Clock::now().time_since_epoch());
}

void rename_mark(const fs::path& from, const fs::path& to) {
  check_sys(std::rename(from.c_str(), to.c_str()), "rename " + from.string());
}

/// Empty: the VM is no spare, or no longer.
std::optional<Mark> read_mark(const VmPaths& paths) {
  std::error_code none;
  if (!fs::exists(paths.spare_is_ready(), none)) return std::nullopt;
  const json mark = json::parse(read_file(paths.spare_is_ready(), max_mark_bytes), nullptr, false);
  if (!mark.is_object() || !mark.contains("key") || !mark["key"].is_string() ||
      !mark.contains("since") || !mark["since"].is_number_integer())
    throw Error(Errc::invalid_argument, paths.spare_is_ready().string() + ": is damaged");
  return Mark{.key = mark["key"].get<std::string>(),
              .since = std::chrono::seconds(mark["since"].get<std::int64_t>())};
}

/// Without waiting: who holds the lock takes the VM, or ends it.
std::optional<DirectoryLock> lock_at_once(const VmPaths& paths) {
  return DirectoryLock::try_lock(paths.directory, 0ms);
}

/// Throws what a keeper or a guest that does not answer comes to.
TakenSpare take(const VmPaths& paths, DirectoryLock lock, VmRecord record) {
  const std::chrono::milliseconds patience = answer_patience(record);
  handoff::VmKeeper keeper = handoff::VmKeeper::of_spare(paths.claims(), patience);
  guestcomm::AgentClient agent = VmHandle(record).connect(patience);
  record.secret = random_hex(16);
  agent.call(guestcomm::ClaimVm{.secret = record.secret, .entropy = random_hex(64)}, patience);
  return {std::move(lock), std::move(record), std::move(keeper), std::move(agent)};
}

bool suits(const VmPaths& paths, const std::string& key, std::chrono::seconds max_age) {
  const std::optional<Mark> mark = read_mark(paths);
  return mark && mark->key == key && now() - mark->since <= max_age && shows_vm_directory(paths);
}

/// Empty: the VM does not suit, or somebody else has it.
std::optional<TakenSpare> take_if_suitable(const std::string& vm_id, const std::string& key,
                                           std::chrono::seconds max_age,
                                           const hypervisor::ConnectHypervisor& connect) {
  const VmPaths paths(vm_id);
  if (!suits(paths, key, max_age)) return std::nullopt;
  std::optional<DirectoryLock> lock = lock_at_once(paths);
  if (!lock || !suits(paths, key, max_age)) return std::nullopt;
  rename_mark(paths.spare_is_ready(), paths.spare_is_taken());
  try {
    return take(paths, *std::exchange(lock, std::nullopt), load_vm(vm_id));
  } catch (const Error& e) {
    log(LogLevel::warning, "spare VM " + vm_id + " is ended: " + e.what());
  }
  leave_vm(vm_id, {}, {}, connect);
  return std::nullopt;
}

bool is_left(const VmPaths& paths) {
  std::error_code none;
  if (!fs::exists(paths.spare_boots(), none) && !fs::exists(paths.spare_is_taken(), none))
    return false;
  const std::optional<DirectoryLock> lock = lock_at_once(paths);
  if (!lock) return false;
  if (fs::exists(paths.spare_boots(), none)) return true;
  const VmLeftOvers vm = load_vm_left_overs(paths.directory.filename());
  return fs::exists(paths.spare_is_taken(), none) && vm.members && vm.members->empty();
}

std::optional<SpareFacts> find_spare(const std::string& vm_id) {
  const VmPaths paths(vm_id);
  std::error_code none;
  SpareFacts facts{.vm_id = vm_id, .process = load_vm_left_overs(vm_id).process};
  if (const std::optional<Mark> mark = read_mark(paths)) {
    facts.key = mark->key;
    facts.age = now() - mark->since;
    if (facts.process && is_alive(*facts.process)) facts.state = SpareState::ready;
    return facts;
  }
  if (is_left(paths)) return facts;
  if (!fs::exists(paths.spare_boots(), none)) return std::nullopt;
  facts.state = SpareState::boots;
  return facts;
}

}  // namespace

PoolClaim::~PoolClaim() {
  if (!spare_) return;
  const std::string vm_id = spare_->record.id;
  spare_.reset();  // with the lock
  warn_on_failure([&] { leave_vm(vm_id, {}, {}, connect_); });
}

void mark_booting(const std::string& vm_id) {
  write_new_file(AT_FDCWD, VmPaths(vm_id).spare_boots(), "", 0600);
}

void mark_ready(const std::string& vm_id, const std::string& key) {
  const VmPaths paths(vm_id);
  const json mark{{"key", key}, {"since", now().count()}};
  write_file_atomic(paths.spare_boots(), mark.dump(-1, ' ', false, json::error_handler_t::replace),
                    0600);
  rename_mark(paths.spare_boots(), paths.spare_is_ready());
}

std::optional<TakenSpare> take_spare(const std::string& key, std::chrono::seconds max_age,
                                     const hypervisor::ConnectHypervisor& connect) {
  for (const std::string& vm_id : vm_ids()) {
    try {
      if (auto taken = take_if_suitable(vm_id, key, max_age, connect)) return taken;
    } catch (const Error& e) {
      log(LogLevel::warning, "spare VM " + vm_id + ": " + e.what());
    }
  }
  return std::nullopt;
}

std::vector<SpareFacts> find_spares() {
  std::vector<SpareFacts> all;
  for (const std::string& vm_id : vm_ids())
    warn_on_failure([&] {
      if (std::optional<SpareFacts> facts = find_spare(vm_id)) all.push_back(std::move(*facts));
    });
  std::ranges::sort(all, std::ranges::greater{}, &SpareFacts::age);
  return all;
}

bool drop_spare(const std::string& vm_id, const hypervisor::ConnectHypervisor& connect) {
  const VmPaths paths(vm_id);
  {
    const std::optional<DirectoryLock> lock = lock_at_once(paths);
    if (!lock) return false;
    std::error_code none;
    if (fs::exists(paths.spare_is_ready(), none))
      rename_mark(paths.spare_is_ready(), paths.spare_is_taken());
    else if (fs::exists(paths.spare_boots(), none))
      rename_mark(paths.spare_boots(), paths.spare_is_taken());
  }
  if (!is_left(paths)) return false;
  leave_vm(vm_id, {}, {}, connect);
  return true;
}

}  // namespace husk::runtime
