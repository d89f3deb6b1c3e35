// SPDX-License-Identifier: Apache-2.0
#include "lib/runtime/host/count_oom_kill.hpp"

#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
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
/// More than any limit that is set here leaves.
constexpr std::size_t victims_bytes = 4U << 20U;

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
      // Before all others of the cgroup, whichever of them needs memory just then.
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

/// Calls it at the end, whatever happens.
class AtEnd {
 public:
  explicit AtEnd(std::function<void()> work) : work_(std::move(work)) {}
  AtEnd(const AtEnd&) = delete;
  AtEnd& operator=(const AtEnd&) = delete;
  ~AtEnd() { warn_on_failure(work_); }

 private:
  std::function<void()> work_;
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

void kill_one_in(const fs::path& cgroup) {
  write_existing(cgroup / "memory.max", number_text(victims_limit));
  Victim victim(cgroup);
  victim.go();
  victim.await_kill();
}

bool is_out_of_memory(const fs::path& oom_control) {
  return read_file(oom_control, 4096).find("under_oom 1") != std::string::npos;
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
  const fs::path subtree = directory / "cgroup.subtree_control";
  const AtEnd undo([&] {
    remove_cgroups({killed});
    write_existing(subtree, "-memory");
    move_all(below, directory);
    remove_cgroups({below});
  });
  make_cgroup(below);
  move_all(directory, below);
  write_existing(subtree, "+memory");
  make_cgroup(killed);
  kill_one_in(killed);
}

void count_oom_kill_v1(const fs::path& directory) {
  const fs::path oom_control = directory / "memory.oom_control";
  const fs::path limit = directory / "memory.limit_in_bytes";
  const std::uint64_t before = read_number(limit);
  Victim victim(directory);
  const AtEnd undo([&] {
    write_existing(limit, number_text(before));
    write_existing(oom_control, "0");
  });
  // Nobody is killed: the victim waits for memory, and so does who else needs some.
  write_existing(oom_control, "1");
  limit_to_use(directory);
  victim.go();
  const Deadline deadline(kill_patience_of_kernel);
  while (!is_out_of_memory(oom_control)) {
    if (deadline.passed()) throw Error(Errc::timed_out, "the cgroup is not short of memory");
    std::this_thread::sleep_for(short_pause);
  }
}

void count_oom_kill(pid_t shim) {
  for (const MemberCgroup& cgroup : find_cgroups_of(shim)) {
    if (cgroup.directory == cgroup.hierarchy.mount_point) continue;
    // Where a husk was killed half-way.
    const bool is_below = cgroup.directory.filename() == cgroup_for_processes;
    const fs::path directory = is_below ? cgroup.directory.parent_path() : cgroup.directory;
    if (cgroup.hierarchy.v2 && fs::exists(directory / "memory.events"))
      return count_oom_kill_v2(directory);
    if (!cgroup.hierarchy.v2 && fs::exists(cgroup.directory / "memory.oom_control"))
      return count_oom_kill_v1(cgroup.directory);
  }
}

}  // namespace husk::runtime
