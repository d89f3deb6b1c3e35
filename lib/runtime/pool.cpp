// SPDX-License-Identifier: Apache-2.0
#include "lib/runtime/pool.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string_view>

#include "lib/base/cancellation.hpp"
#include "lib/base/detach.hpp"
#include "lib/base/directory_lock.hpp"
#include "lib/base/error.hpp"
#include "lib/base/files.hpp"
#include "lib/base/log.hpp"
#include "lib/base/ownership.hpp"
#include "lib/runtime/find_host_facts.hpp"
#include "lib/runtime/host/host_cgroup.hpp"
#include "lib/runtime/host/host_size.hpp"
#include "lib/runtime/host/limit_cgroup.hpp"
#include "lib/runtime/plan/new_vm_plan.hpp"
#include "lib/runtime/plan/vm_shape.hpp"
#include "lib/runtime/spare_in_making.hpp"
#include "lib/runtime/vm/host_cost.hpp"
#include "lib/runtime/vm/new_vm.hpp"
#include "lib/runtime/vm/spare_key.hpp"
#include "lib/runtime/vm/warm_up.hpp"
#include "lib/systemd/scope.hpp"
#include "lib/systemd/service.hpp"

namespace husk::runtime {
namespace {

namespace fs = std::filesystem;

/// While a spare boots it gives way to everybody else: the least weight there is.
constexpr std::uint64_t least_shares = 2;
constexpr std::size_t max_proc_bytes = 64U << 10;
constexpr std::chrono::minutes filler_patience{10};
constexpr const char* refill_unit = "husk-pool-refill.service";

/// The number after `word` in a file below /proc; empty where there is none.
std::optional<double> number_after(const fs::path& file, const std::string& word) try {
  const std::string text = read_file(file, max_proc_bytes);
  const std::size_t at = text.find(word);
  if (at == std::string::npos) return std::nullopt;
  return std::stod(text.substr(at + word.size(), 32));
} catch (const std::exception&) {
  return std::nullopt;
}

/// Throws wrong_state.
void check_memory(unsigned percent, const VmPlan& spare, std::uint64_t host_mib) {
  const auto waiting = number_after("/proc/pressure/memory", "some avg10=");
  if (waiting.value_or(0) > percent)
    throw Error(Errc::wrong_state, "no spare VM is made: processes of the host wait for memory " +
                                       std::to_string(static_cast<int>(*waiting)) +
                                       " % of the time (pool.memory_pressure)");
  const auto available_kib = number_after("/proc/meminfo", "MemAvailable:");
  const auto needed =
      static_cast<double>(size_of(spare.vm.shape).memory_mib + host_mib * percent / 100);
  if (available_kib && *available_kib / 1024 < needed)
    throw Error(Errc::wrong_state,
                "no spare VM is made: the host has " +
                    std::to_string(static_cast<std::uint64_t>(*available_kib / 1024)) +
                    " MiB of memory left, " + std::to_string(static_cast<std::uint64_t>(needed)) +
                    " are needed (pool.memory_pressure)");
}

void make_spare(const Pool& pool, const VmPlan& plan, const std::string& key, bool has_systemd) {
  const SpareInMaking note(plan.id);
  HostCgroup cgroup(plan_spare_cgroup(plan.id, has_systemd));  // goes after the VM, which is in it
  NewVm vm(plan);
  mark_booting(plan.id);
  vm.start(pool.connect);
  vm.change_record([&](VmRecord& record) { record.cgroups = cgroup.made(); });
  vm.park(cgroup);
  warn_on_failure([&] { limit_cgroups_of(vm.process(), {.cpu_shares = least_shares}, {}); });
  vm.await_agent(pool.config.boot_timeout);
  // Beside the guest's modules.
  if (const fs::path busybox = plan.assets.modules / "modprobe"; fs::exists(busybox))
    step("warm up VM " + plan.id, [&] { warm_up(vm, busybox); });
  // From now on it runs nothing, and a busy host must not keep it from answering the one who claims it.
  warn_on_failure([&] { limit_cgroups_of(vm.process(), {}, {.cpu_shares = least_shares}); });
  mark_ready(plan.id, key);
  vm.keep();
  cgroup.keep();
}

bool is_fit(const SpareFacts& spare, const std::string& key, const PoolOptions& options) {
  return spare.state == SpareState::ready && spare.key == key && spare.age <= options.max_age;
}

/// Ends those that are of no use, or too many. Returns how many are ready.
std::size_t tidy(const Pool& pool, const std::string& key, const PoolReport& report) {
  std::size_t ready = 0;
  for (const SpareFacts& spare : find_spares()) {
    if (spare.state == SpareState::boots) continue;
    if (is_fit(spare, key, pool.config.pool) && ready < pool.config.pool.size) {
      ++ready;
      continue;
    }
    if (drop_spare(spare.vm_id, pool.connect)) report("ended " + spare.vm_id);
  }
  return ready;
}

VmPlan new_plan(const Pool& pool, bool with_clock_rate) {
  return plan_spare(pool.config, pool.paths, find_spare_facts(pool.config, with_clock_rate));
}

/// A user who could lock the directory could keep the pool empty.
void check_pool_directory() {
  const UniqueFd directory(::open(pool_directory, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (directory) {
    check_own_file(directory.get(), pool_directory);
  } else if (errno != ENOENT) {
    throw_errno(std::string("open ") + pool_directory);
  }
}

/// Held by the one command that makes or ends VMs of the pool. Empty: another command has the lock.
std::optional<DirectoryLock> lock_pool(PoolPatience patience) {
  for (;;) {
    if (::mkdir(pool_directory, 0700) != 0 && errno != EEXIST)
      throw_errno(std::string("make directory ") + pool_directory);
    check_pool_directory();
    if (patience == PoolPatience::leave)
      return DirectoryLock::try_lock(pool_directory, std::chrono::milliseconds{0});
    // The one before takes the directory away.
    if (auto lock = DirectoryLock::lock(pool_directory, filler_patience, "the pool")) return lock;
  }
}

/// Takes the directory away before its lock is released.
struct LockDirectory {
  LockDirectory() = default;
  LockDirectory(const LockDirectory&) = delete;
  LockDirectory& operator=(const LockDirectory&) = delete;
  ~LockDirectory() { ::rmdir(pool_directory); }
};

/// Makes VMs until the pool is full.
void fill(const Pool& pool, const PoolReport& report) {
  const bool has_systemd = systemd::is_running();
  for (;;) {
    const VmPlan plan = new_plan(pool, /*with_clock_rate=*/true);
    const std::string key = spare_key(plan);
    const std::size_t ready = tidy(pool, key, report);
    if (ready >= pool.config.pool.size) return;
    check_memory(pool.config.pool.memory_pressure, plan, find_memory_mib());
    report("starting " + plan.id + " (" + std::to_string(ready + 1) + " of " +
           std::to_string(pool.config.pool.size) + ")");
    make_spare(pool, plan, key, has_systemd);
  }
}

bool is_full(const Pool& pool) {
  const std::vector<SpareFacts> spares = find_spares();
  return std::ranges::count(spares, SpareState::ready, &SpareFacts::state) >=
         static_cast<std::ptrdiff_t>(pool.config.pool.size);
}

/// systemd does not share this process's /proc/self. After an upgrade this is the new program: what the old one makes is stale.
std::string installed_program() {
  constexpr std::string_view replaced = " (deleted)";
  std::string path = fs::read_symlink("/proc/self/exe");
  if (path.ends_with(replaced)) path.resize(path.size() - replaced.size());
  return path;
}

std::string name_of(const SpareFacts& spare, const std::string& key, const PoolOptions& options) {
  if (spare.state == SpareState::boots) return "booting";
  if (spare.state == SpareState::left) return "left";
  return is_fit(spare, key, options) ? "ready" : "stale";
}

}  // namespace

std::optional<TakenSpare> take_from_pool(const Pool& pool, std::optional<VmPlan>& wanted,
                                         const HostFacts& facts) {
  if (!wanted || pool.config.pool.size == 0) return std::nullopt;
  const VmPlan spare = plan_spare(pool.config, pool.paths, facts);
  if (!can_become(spare, *wanted)) return std::nullopt;
  auto taken = take_spare(spare_key(spare), pool.config.pool.max_age, pool.connect);
  if (!taken) {
    wanted->fills_pool = true;
    wanted->config_file = pool.config.file;
  }
  return taken;
}

void fill_pool(const Pool& pool, PoolPatience patience, const PoolReport& report) {
  const Cancellation cancellation;
  // A VM that was taken while the lock was held may have had its refill sent away.
  do {
    const std::optional<DirectoryLock> lock = lock_pool(patience);
    if (!lock) return report("another command fills the pool");
    const LockDirectory directory;
    end_spares_in_making(pool.connect);
    fill(pool, report);
  } while (!is_full(pool));
}

void drain_pool(const hypervisor::ConnectHypervisor& connect, const PoolReport& report) {
  const std::optional<DirectoryLock> lock = lock_pool(PoolPatience::wait);
  const LockDirectory directory;
  end_spares_in_making(connect);
  for (const SpareFacts& spare : find_spares()) {
    if (drop_spare(spare.vm_id, connect)) report("ended " + spare.vm_id);
  }
}

std::vector<PoolVm> list_pool(const Pool& pool) {
  const std::vector<SpareFacts> spares = find_spares();
  if (spares.empty()) return {};
  const std::string key = spare_key(new_plan(pool, /*with_clock_rate=*/false));
  std::vector<PoolVm> list;
  for (const SpareFacts& spare : spares) {
    PoolVm one{.id = spare.vm_id, .state = name_of(spare, key, pool.config.pool), .age = spare.age};
    warn_on_failure([&] { one.memory_bytes = find_host_cost(load_vm(spare.vm_id)).memory_bytes; });
    list.push_back(std::move(one));
  }
  return list;
}

void refill_pool(const fs::path& config_file) {
  std::vector<std::string> command{installed_program()};
  if (!config_file.empty()) command.insert(command.end(), {"--config", config_file.string()});
  command.insert(command.end(), {"pool", "fill", "--no-wait"});
  if (systemd::is_running()) {
    const UniqueFd null(check_sys(::open("/dev/null", O_RDWR | O_CLOEXEC), "open /dev/null"));
    systemd::start_service({.name = refill_unit,
                            .description = "husk: refill the pool of spare VMs",
                            .command = command,
                            .standard_input = null.get(),
                            .errors_to_journal = true});
    return;
  }
  fork_orphan([&] {
    detach_process({});
    std::vector<char*> argv;
    for (std::string& word : command) argv.push_back(word.data());
    argv.push_back(nullptr);
    ::execv(argv.front(), argv.data());
  });
}

}  // namespace husk::runtime
