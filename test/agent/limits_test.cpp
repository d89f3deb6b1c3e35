// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch_test_macros.hpp>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "agent/container/oom_watch.hpp"
#include "agent/container/statistics.hpp"
#include "agent/setup/limits.hpp"
#include "lib/base/error.hpp"
#include "lib/base/files.hpp"
#include "lib/base/random_id.hpp"

using namespace husk;
using namespace husk::agent;
namespace fs = std::filesystem;

namespace {

/// A directory with the files of a cgroup, without a kernel behind them.
struct Directory {
  fs::path path = fs::temp_directory_path() / ("husk-limits-" + random_hex(8));
  Directory() {
    fs::create_directory(path);
    write("memory.max", "max\n");
    write("memory.low", "0\n");
    write("memory.swap.max", "max\n");
    write("memory.current", "9999999\n");
    write("cpu.max", "max 100000\n");
    write("cpu.weight", "100\n");
    write("pids.max", "max\n");
  }
  ~Directory() { fs::remove_all(path); }
  Directory(const Directory&) = delete;
  Directory& operator=(const Directory&) = delete;

  void write(const char* file, const char* text) const { std::ofstream(path / file) << text; }
  std::string read(const char* file) const { return read_file(path / file, 4096); }
};

using Settings = std::vector<CgroupSetting>;

/// As in config.json.
oci::Resources resources_of(const std::string& json) {
  return nlohmann::json::parse(json).get<oci::Resources>();
}

std::string failure(const oci::Resources& resources, const fs::path& cgroup) {
  try {
    apply_limits(resources, cgroup);
    return "none";
  } catch (const Error& error) {
    return error.what();
  }
}

}  // namespace

TEST_CASE("limits: memory, with swap counted by itself", "[agent]") {
  const Directory cgroup;
  const auto settings = [&](const std::string& memory) {
    return cgroup_settings(resources_of(R"({"memory": )" + memory + "}"), cgroup.path);
  };
  CHECK(settings(R"({})").empty());
  CHECK(settings(R"({"limit": 0, "swap": 0})").empty());
  CHECK(settings(R"({"limit": 1000, "reservation": 500, "swap": 3000})") ==
        Settings{{"memory.swap.max", "2000"}, {"memory.max", "1000"}, {"memory.low", "500"}});
  CHECK(settings(R"({"limit": 1000, "swap": 1000})") ==
        Settings{{"memory.swap.max", "0"}, {"memory.max", "1000"}});
  CHECK(settings(R"({"limit": 1000, "swap": -1})") ==
        Settings{{"memory.swap.max", "max"}, {"memory.max", "1000"}});
  CHECK(settings(R"({"limit": -1})") ==
        Settings{{"memory.swap.max", "max"}, {"memory.max", "max"}});
  CHECK_THROWS_AS(settings(R"({"swap": 1000})"), Error);  // without a limit, now or before
  cgroup.write("memory.max", "400\n");
  CHECK(settings(R"({"swap": 1000})") == Settings{{"memory.swap.max", "600"}});
  CHECK_THROWS_AS(settings(R"({"limit": 1000, "swap": 999})"), Error);
}

TEST_CASE("limits: less memory than is used is refused on demand", "[agent]") {
  const Directory cgroup;
  CHECK(
      failure(resources_of(R"({"memory": {"limit": 4096, "checkBeforeUpdate": true}})"),
              cgroup.path) ==
      "linux.resources.memory.limit: unable to set memory limit to 4096 (current usage: 9999999)");
  CHECK(cgroup.read("memory.max") == "max\n");
}

TEST_CASE("limits: CPU time", "[agent]") {
  const Directory cgroup;
  const auto settings = [&](const std::string& cpu) {
    return cgroup_settings(resources_of(R"({"cpu": )" + cpu + "}"), cgroup.path);
  };
  CHECK(settings(R"({"cpus": "0-1", "mems": "0"})").empty());  // the host's
  CHECK(settings(R"({"shares": 2})") == Settings{{"cpu.weight", "1"}});
  CHECK(settings(R"({"shares": 1024})") == Settings{{"cpu.weight", "39"}});
  CHECK(settings(R"({"shares": 262144})") == Settings{{"cpu.weight", "10000"}});
  CHECK(settings(R"({"shares": 1})") == Settings{{"cpu.weight", "1"}});
  CHECK(settings(R"({"quota": 50000})") == Settings{{"cpu.max", "50000 100000"}});
  CHECK(settings(R"({"period": 20000})") == Settings{{"cpu.max", "max 20000"}});
  cgroup.write("cpu.max", "7000 30000\n");
  CHECK(settings(R"({"quota": 5000})") == Settings{{"cpu.max", "5000 30000"}});
  CHECK(settings(R"({"period": 20000})") == Settings{{"cpu.max", "7000 20000"}});
  CHECK(settings(R"({"quota": -1})") == Settings{{"cpu.max", "max 30000"}});
  CHECK(settings(R"({"shares": 1024, "burst": 100, "idle": 1})") ==
        Settings{{"cpu.idle", "1"}, {"cpu.max.burst", "100"}});
}

TEST_CASE("limits: a burst is never more than its quota, on the way neither", "[agent]") {
  const Directory cgroup;
  cgroup.write("cpu.max.burst", "5000\n");
  const auto first = [&](const std::string& cpu) {
    return cgroup_settings(resources_of(R"({"cpu": )" + cpu + "}"), cgroup.path).front().file;
  };
  CHECK(first(R"({"quota": 1000, "burst": 500})") == "cpu.max.burst");
  CHECK(first(R"({"quota": 90000, "burst": 80000})") == "cpu.max");
}

TEST_CASE("limits: processes, and files by their names", "[agent]") {
  const Directory cgroup;
  oci::Resources resources;
  resources.pids_limit = 10;
  resources.unified = {{"memory.high", "5000"}};
  CHECK(cgroup_settings(resources, cgroup.path) ==
        Settings{{"pids.max", "10"}, {"memory.high", "5000"}});
  resources.pids_limit = -1;
  CHECK(cgroup_settings(resources, cgroup.path).front() == CgroupSetting{"pids.max", "max"});
  for (const char* file : {"cgroup.freeze", "../memory.max"}) {
    resources.unified = {{file, "0"}};
    CHECK_THROWS_AS(cgroup_settings(resources, cgroup.path), Error);
  }
}

TEST_CASE("limits: all or none", "[agent]") {
  const Directory cgroup;
  cgroup.write("memory.max", "1000");
  oci::Resources resources = resources_of(R"({"memory": {"limit": 2000}})");
  resources.unified = {{"no.such.file", "1"}};
  CHECK(failure(resources, cgroup.path).starts_with("linux.resources: no.such.file \"1\": "));
  CHECK(cgroup.read("memory.max") == "1000");
  resources.unified.clear();
  CHECK(failure(resources, cgroup.path) == "none");
  CHECK(cgroup.read("memory.max") == "2000");
}

TEST_CASE("statistics: files of the kernel's are read", "[agent]") {
  CHECK(parse_counters("usage_usec 12\nuser_usec 7\nbroken\n") ==
        guestcomm::Counters{{"usage_usec", 12}, {"user_usec", 7}});
  CHECK(parse_counters("").empty());
  const auto interfaces = parse_interfaces(
      "Inter-|   Receive                                                |  Transmit\n"
      " face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs "
      "drop fifo colls carrier compressed\n"
      "    lo:    1       1    0    0    0     0          0         0        1       1    0    0   "
      " 0     0       0          0\n"
      "  eth0: 4096      12    1    2    0     0          0         0      512       6    3    4   "
      " 0     0       0          0\n");
  REQUIRE(interfaces.size() == 1);
  CHECK(interfaces[0].name == "eth0");
  CHECK(interfaces[0].counters == guestcomm::Counters{{"rx_bytes", 4096},
                                                      {"rx_packets", 12},
                                                      {"rx_errors", 1},
                                                      {"rx_dropped", 2},
                                                      {"tx_bytes", 512},
                                                      {"tx_packets", 6},
                                                      {"tx_errors", 3},
                                                      {"tx_dropped", 4}});
  const Directory cgroup;
  cgroup.write("memory.max", "4096\n");
  cgroup.write("pids.current", "3\n");
  const guestcomm::ContainerStatistics all = measure(cgroup.path);
  CHECK(all.memory_used == 9999999);
  CHECK(all.memory_limit == 4096);
  CHECK_FALSE(all.process_limit);
  CHECK(all.processes == 3);
  CHECK(all.cpu.empty());
}

TEST_CASE("oom: each time more processes were killed is told once", "[agent]") {
  const Directory cgroup;
  cgroup.write("memory.events", "low 0\nhigh 0\nmax 7\noom 1\noom_kill 1\n");
  EventLoop loop;
  int told = 0;
  OomWatch watch(loop, cgroup.path, [&] { ++told; });
  watch.look();
  CHECK(told == 0);
  cgroup.write("memory.events", "low 0\nhigh 0\nmax 9\noom 3\noom_kill 3\n");
  for (int i = 0; i < 100 && told == 0; ++i) loop.run_once(std::chrono::milliseconds{10});
  CHECK(told == 1);
  watch.look();
  CHECK(told == 1);
}
