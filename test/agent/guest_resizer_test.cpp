// SPDX-License-Identifier: Apache-2.0
#include "agent/container/guest_resizer.hpp"

#include <catch2/catch_test_macros.hpp>
#include <fstream>

#include "lib/base/files.hpp"
#include "test/lib/base/scratch.hpp"

using namespace husk;
using namespace husk::agent;
using namespace std::chrono_literals;
using guestcomm::GuestSize;
namespace fs = std::filesystem;

namespace {

constexpr std::uint64_t one_mib = 1u << 20;

void write(const fs::path& file, const std::string& text) {
  fs::create_directories(file.parent_path());
  std::ofstream(file) << text;
}

/// A guest of 512 MiB and one processor.
struct Files {
  Files() {
    set_memory(512);
    write(proc / "loadavg", "0.20 0.18 0.12 1/80 11206\n");
    write(proc / "sys/kernel/threads-max", "4000\n");
    write(proc / "sys/kernel/pid_max", "32768\n");
    write(proc / "sys/fs/file-max", "50000\n");
    fs::create_directories(cpus / "cpu0");
    fs::create_directories(cpus / "cpufreq");
    for (const char* file : {"memory.max", "pids.max"}) write(cgroup / file, "max\n");
  }
  void set_memory(std::uint64_t total_mib) const {
    write(proc / "meminfo",
          "MemTotal: " + std::to_string(total_mib * 1024) + " kB\nMemAvailable: 450000 kB\n");
  }
  void add_cpu(const std::string& name, const std::string& online) const {
    write(cpus / name / "online", online + "\n");
  }
  std::uint64_t number_in(const fs::path& file) const { return std::stoull(read_file(file, 64)); }

  husk::test::Scratch scratch;
  fs::path proc = scratch.path() / "proc", cpus = scratch.path() / "cpu",
           cgroup = scratch.path() / "cgroup";
};

struct Guest : Files {
  explicit Guest(std::set<std::string> fixed_parameters = {})
      : fixed(std::move(fixed_parameters)) {}
  void ask(const GuestSize& wanted) {
    resizer.resize(wanted, [this](const Outcome& outcome) {
      answers.push_back(std::get<nlohmann::json>(outcome).get<GuestSize>());
    });
  }
  void await(std::size_t count) {
    const auto end = EventLoop::Clock::now() + 20s;
    while (answers.size() < count && EventLoop::Clock::now() < end) loop.run_once(100ms);
    REQUIRE(answers.size() == count);
  }

  EventLoop loop;
  std::vector<GuestSize> answers;
  std::set<std::string> fixed;
  GuestResizer resizer{loop, cgroup, fixed, {.proc = proc, .cpus = cpus}};
};

}  // namespace

TEST_CASE("resizer: answers when the guest has what was asked for", "[agent]") {
  Guest guest;
  guest.ask({.plugged_mib = 512, .vcpus = 2});
  CHECK(guest.answers.empty());
  guest.set_memory(1024);
  guest.add_cpu("cpu1", "0");
  guest.add_cpu("cpu2", "0");
  guest.await(1);
  CHECK(guest.answers[0] == GuestSize{.plugged_mib = 512, .vcpus = 2});
  CHECK(guest.number_in(guest.cpus / "cpu1/online") == 1);
  CHECK(guest.number_in(guest.cpus / "cpu2/online") == 0);
  // The boot's 450000 kB, and 512 MiB without the descriptors of their pages; a reserve of 32 MiB instead of 16.
  CHECK(guest.number_in(guest.cgroup / "memory.max") ==
        450000 * 1024 + 512 * one_mib - 8 * one_mib - 32 * one_mib);
  CHECK(guest.number_in(guest.proc / "sys/kernel/threads-max") == 8000);
  CHECK(guest.number_in(guest.proc / "sys/fs/file-max") == 100000);
  CHECK(guest.number_in(guest.cgroup / "pids.max") == 1024 * 4);  // one for 256 KiB
}

TEST_CASE("resizer: memory that goes takes the limits with it, and processors rest", "[agent]") {
  Guest guest;
  guest.set_memory(1024);
  guest.ask({.plugged_mib = 512, .vcpus = 1});
  guest.await(1);
  guest.add_cpu("cpu1", "1");
  guest.add_cpu("cpu2", "1");
  guest.ask({.plugged_mib = 0, .vcpus = 2});
  guest.await(2);
  CHECK(guest.answers[1] == GuestSize{.plugged_mib = 512, .vcpus = 2});  // the host need not wait
  guest.set_memory(512);
  const auto is_limited = [&] {
    return guest.number_in(guest.proc / "sys/kernel/threads-max") == 4000;
  };
  for (int turn = 0; turn < 400 && !is_limited(); ++turn) guest.loop.run_once(50ms);
  CHECK(guest.number_in(guest.cpus / "cpu1/online") == 1);
  CHECK(guest.number_in(guest.cpus / "cpu2/online") == 0);
  CHECK(guest.number_in(guest.cgroup / "memory.max") == 450000 * 1024 - 16 * one_mib);
  CHECK(guest.number_in(guest.proc / "sys/kernel/threads-max") == 4000);
}

TEST_CASE("resizer: what the host has said does not follow the memory", "[agent]") {
  Guest guest({"fs/file-max"});
  guest.ask({.plugged_mib = 512, .vcpus = 1});
  guest.set_memory(1024);
  guest.await(1);
  CHECK(guest.number_in(guest.proc / "sys/fs/file-max") == 50000);
  CHECK(guest.number_in(guest.proc / "sys/kernel/threads-max") == 8000);
}

TEST_CASE("resizer: answers with what there is when nothing more comes", "[agent]") {
  Guest guest;
  guest.set_memory(640);
  guest.ask({.plugged_mib = 512, .vcpus = 1});
  guest.ask({.plugged_mib = 256, .vcpus = 1});  // takes the other's place
  CHECK(guest.answers == std::vector<GuestSize>{{.plugged_mib = 128, .vcpus = 1}});
  guest.await(2);
  CHECK(guest.answers[1] == GuestSize{.plugged_mib = 128, .vcpus = 1});
  CHECK(guest.number_in(guest.cgroup / "memory.max") < 450000 * 1024 + 128 * one_mib);
}
