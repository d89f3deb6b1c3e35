// SPDX-License-Identifier: Apache-2.0
#include "lib/runtime/host/count_oom_kill.hpp"

#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <functional>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "lib/base/cgroup_directories.hpp"
#include "lib/base/deadline.hpp"
#include "lib/base/error.hpp"
#include "lib/base/files.hpp"
#include "lib/base/log.hpp"
#include "lib/base/parse_number.hpp"
#include "lib/base/unique_fd.hpp"
#include "lib/runtime/host/cgroup_hierarchies.hpp"

namespace husk::runtime {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

/// The kernel kills at once; a busy host may take its time to let this process see it.
constexpr auto kill_patience_of_kernel = 5s;
constexpr auto short_pause = 1ms;
/// Processes that are made meanwhile are moved in another turn.
constexpr int most_turns = 100;
constexpr std::uint64_t page = 4096;
constexpr std::uint64_t victims_limit = 16 * page;
/// More than any limit that is set here leaves, and than the kernel finds by dropping what it can read again.
constexpr std::size_t victims_bytes = 64U << 20U;

std::string number_text(std::uint64_t number) { return std::to_string(number); }

std::uint64_t read_number(const fs::path& file) {
  std::string text = read_file(file, 64);
  while (text.ends_with('\n')) text.pop_back();
  if (const auto number = parse_number<std::uint64_t>(text)) return *number;
  throw Error(Errc::system, file.string() + ": is not a number");
}

/// Goes into the cgroup, and uses memory there when it is told to.
class Victim {
 public:
  explicit Victim(const fs::path& cgroup) {
    std::array<int, 2> ends{};
    check_sys(::pipe2(ends.data(), O_CLOEXEC), "pipe");
    const UniqueFd go(ends[0]);
    go_.reset(ends[1]);
    const pid_t parent = ::getpid();
    pid_ = check_sys(::fork(), "fork");
    if (pid_ == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      if (::getppid() == parent) use_memory(go.get(), ends[1]);
      ::_exit(0);
    }
    try {
      // Should another process come meanwhile, this one is killed.
      write_existing("/proc/" + std::to_string(pid_) + "/oom_score_adj", "1000");
      write_existing(cgroup / "cgroup.procs", std::to_string(pid_));
    } catch (const Error&) {
      end();
      throw;
    }
  }
  Victim(const Victim&) = delete;
  Victim& operator=(const Victim&) = delete;
  ~Victim() { end(); }

  void go() { go_.reset(); }

  /// Throws where the kernel lets it live.
  void await_kill() {
    const Deadline deadline(kill_patience_of_kernel);
    int status = 0;
    while (::waitpid(pid_, &status, WNOHANG) == 0) {
      if (deadline.passed()) throw Error(Errc::timed_out, "the kernel killed no process");
      std::this_thread::sleep_for(short_pause);
    }
    pid_ = -1;
    if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
      throw Error(Errc::system, "the kernel killed no process");
  }

 private:
  static void use_memory(int go, int other_end) {
    ::close(other_end);
    char byte = 0;
    while (::read(go, &byte, 1) < 0 && errno == EINTR) continue;
    void* const memory =
        ::mmap(nullptr, victims_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) return;
    // Else the kernel moves the pages to the host's swap.
    ::syscall(SYS_mlock2, memory, victims_bytes, MLOCK_ONFAULT);
    auto* const bytes = static_cast<volatile char*>(memory);
    for (std::size_t at = 0; at < victims_bytes; at += page) bytes[at] = 1;
  }

  void end() noexcept {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) continue;
    pid_ = -1;
  }

  pid_t pid_ = -1;
  UniqueFd go_;
};

/// Calls them at the end, whatever happens and whichever of them fails.
class AtEnd {
 public:
  using Steps = std::vector<std::function<void()>>;
  explicit AtEnd(Steps steps) : steps_(std::move(steps)) {}
  AtEnd(const AtEnd&) = delete;
  AtEnd& operator=(const AtEnd&) = delete;
  ~AtEnd() {
    for (const auto& one : steps_) warn_on_failure(one);
  }

 private:
  Steps steps_;
};

/// Returns how many were there.
std::size_t move_each(const fs::path& from, const fs::path& to) {
  std::size_t found = 0;
  std::istringstream pids(read_file(from / "cgroup.procs", 1U << 20U));
  for (std::string pid; std::getline(pids, pid); ++found) {
    try {
      write_existing(to / "cgroup.procs", pid);
    } catch (const Error& e) {
      if (e.sys_errno() != ESRCH) throw;
    }
  }
  return found;
}

void move_all(const fs::path& from, const fs::path& to) {
  for (int turn = 0; turn < most_turns; ++turn) {
    if (move_each(from, to) == 0) return;
  }
  throw Error(Errc::system, from.string() + ": processes keep coming");
}

void make_cgroup(const fs::path& directory) {
  if (::mkdir(directory.c_str(), 0755) != 0 && errno != EEXIST)
    throw_errno("make cgroup " + directory.string());
}

/// Throws EBUSY, after a while, where processes keep coming into the cgroup.
void enable_memory_below(const fs::path& directory, const fs::path& below) {
  for (int turn = 0;; ++turn) {
    move_all(directory, below);
    try {
      return write_existing(directory / "cgroup.subtree_control", "+memory");
    } catch (const Error& e) {
      if (e.sys_errno() != EBUSY || turn == most_turns) throw;
    }
  }
}

void kill_one_in(const fs::path& cgroup) {
  write_existing(cgroup / "memory.max", number_text(victims_limit));
  Victim victim(cgroup);
  victim.go();
  victim.await_kill();
}

/// The limit cannot be below what is used, which changes.
void limit_to_use(const fs::path& directory) {
  for (int turn = 0;; ++turn) {
    try {
      const std::uint64_t used = read_number(directory / "memory.usage_in_bytes");
      return write_existing(directory / "memory.limit_in_bytes", number_text(used + victims_limit));
    } catch (const Error& e) {
      if (e.sys_errno() != EBUSY || turn == most_turns) throw;
    }
  }
}

}  // namespace

void count_oom_kill_v2(const fs::path& directory) {
  const fs::path below = directory / cgroup_for_processes, killed = directory / cgroup_for_kill;
  const AtEnd undo({[&] { remove_cgroups({killed}); },
                    [&] { write_existing(directory / "cgroup.subtree_control", "-memory"); },
                    [&] { move_all(below, directory); }, [&] { remove_cgroups({below}); }});
  make_cgroup(below);
  enable_memory_below(directory, below);
  make_cgroup(killed);
  kill_one_in(killed);
}

void count_oom_kill_v1(const fs::path& directory, const std::optional<std::uint64_t>& limit) {
  const fs::path limit_file = directory / "memory.limit_in_bytes";
  const fs::path beside = directory.string() + suffix_beside;
  const std::uint64_t before = limit.value_or(read_number(limit_file));
  const AtEnd undo({[&] { write_existing(limit_file, number_text(before)); },
                    [&] { move_all(beside, directory); }, [&] { remove_cgroups({beside}); }});
  make_cgroup(beside);
  move_all(directory, beside);
  Victim victim(directory);
  limit_to_use(directory);
  victim.go();
  victim.await_kill();
}

fs::path memory_cgroup_of(pid_t member) {
  for (const MemberCgroup& cgroup : find_cgroups_of(member)) {
    const char* file = cgroup.hierarchy.v2 ? "memory.events" : "memory.oom_control";
    if (cgroup.directory != cgroup.hierarchy.mount_point && fs::exists(cgroup.directory / file))
      return cgroup.directory;
  }
  return {};
}

void count_oom_kill(pid_t shim, const std::optional<std::uint64_t>& limit) {
  const fs::path directory = memory_cgroup_of(shim);
  if (directory.empty()) return;
  if (fs::exists(directory / "memory.events")) return count_oom_kill_v2(directory);
  count_oom_kill_v1(directory, limit);
}

}  // namespace husk::runtime
