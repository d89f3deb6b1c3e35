// SPDX-License-Identifier: Apache-2.0
#include "keeper/husk_commands.hpp"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <thread>
#include <vector>

#include "keeper/vm_members.hpp"
#include "lib/base/deadline.hpp"
#include "lib/base/directory_lock.hpp"
#include "lib/base/error.hpp"
#include "lib/base/namespace_id.hpp"

namespace husk::keeper {
namespace {

using namespace std::chrono_literals;

constexpr auto abandoned_patience = 60s;
constexpr auto abandoned_interval = 500ms;
constexpr auto network_lock_patience = 120s;  ///< as lib/runtime/vm/vm_handle.cpp

/// Never returns: this process becomes husk.
[[noreturn]] void execute_husk(const handoff::KeeperBegin& begin, const char* command,
                               const char* container = nullptr) {
  std::vector<const char*> argv{"husk"};
  if (!begin.config.empty()) argv.insert(argv.end(), {"--config", begin.config.c_str()});
  argv.insert(argv.end(), {"internal", command, begin.vm_id.c_str()});
  // Nothing after "--" is an option.
  if (container != nullptr) argv.insert(argv.end(), {"--", container});
  argv.push_back(nullptr);
  const std::array<const char*, 2> environment{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", nullptr};
  ::syscall(SYS_execveat, begin.husk.get(), "", argv.data(), environment.data(), AT_EMPTY_PATH);
  ::_exit(127);
}

/// Kills and reaps the child on destruction, if it still runs.
class Child {
 public:
  Child(const handoff::KeeperBegin& begin, const char* command) {
    const pid_t keeper = ::getpid();
    pid_ = check_sys(::fork(), "fork");
    if (pid_ != 0) return;
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != keeper) ::_exit(1);
    execute_husk(begin, command);
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  ~Child() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    wait();
  }
  /// The exit status, as waitpid(2) has it.
  int wait() {
    int status = 0;
    while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
    }
    pid_ = -1;
    return status;
  }

 private:
  pid_t pid_ = -1;
};

/// Repeats a husk that fails: the shortage of memory that killed the first one may last.
void end_abandoned(const handoff::KeeperBegin& begin) {
  const Deadline deadline(abandoned_patience);
  while (!deadline.passed()) {
    try {
      if (Child(begin, "end-abandoned").wait() == 0) return;
    } catch (const Error&) {
      // No process can be made now.
    }
    std::this_thread::sleep_for(abandoned_interval);
  }
}

/// Before the container's start an engine changes the network a dozen times, and no guest was told yet.
/// The command that tells the guest for the first time holds the lock until the file exists: a change
/// which that command has not seen is not lost.
bool needs_husk(const std::filesystem::path& told_network) {
  if (told_network.empty()) return true;
  const auto lock =
      DirectoryLock::lock(told_network.parent_path(), network_lock_patience, "the VM's network");
  return lock && std::filesystem::exists(told_network);
}

/// The caller's file may have been unmounted: what is below it is no namespace, or nothing.
bool is_pod_there(const handoff::KeeperBegin& begin) {
  return has_members(begin.record) &&
         namespace_at(begin.pod_network, "net") == namespace_at(begin.own_pod_network, "net");
}

}  // namespace

Duties call_husk(const handoff::KeeperBegin& begin) {
  Duties duties;
  if (!begin.record.empty()) duties.find_shims = [&begin] { return read_shims(begin.record); };
  if (!begin.pod_network.empty()) duties.is_pod_there = [&begin] { return is_pod_there(begin); };
  if (!begin.husk) return duties;
  duties.on_change = [&begin] {
    // The wait for the lock may be long: a fork of the keeper, which has all its descriptors, must not
    // outlive the keeper.
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (!needs_husk(begin.told_network)) return;
    ::prctl(PR_SET_PDEATHSIG, 0);
    execute_husk(begin, "follow-network");
  };
  duties.on_connection = [&begin](UniqueFd connection) {
    ::dup2(connection.get(), STDIN_FILENO);
    execute_husk(begin, "forward-connection");
  };
  duties.on_kill = [&begin](const std::string& container) {
    execute_husk(begin, "count-oom-kill", container.c_str());
  };
  duties.on_clock = [&begin] { execute_husk(begin, "correct-clock"); };
  duties.on_claimed = [&begin] { execute_husk(begin, "refill-pool"); };
  duties.end_abandoned = [&begin] { end_abandoned(begin); };
  return duties;
}

}  // namespace husk::keeper
