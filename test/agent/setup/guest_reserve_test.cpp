// SPDX-License-Identifier: Apache-2.0
#include "agent/setup/guest_reserve.hpp"

#include <catch2/catch_test_macros.hpp>
#include <filesystem>
#include <fstream>

#include "lib/base/error.hpp"
#include "lib/base/files.hpp"
#include "lib/base/random_id.hpp"

using namespace husk;
using namespace husk::agent;
namespace fs = std::filesystem;

namespace {

constexpr std::uint64_t mib = 1u << 20;

constexpr const char* meminfo =
    "MemTotal:         496328 kB\nMemFree:          400000 kB\nMemAvailable:     450000 kB\n";

}  // namespace

TEST_CASE("reserve: containers together get all but a share of the guest's memory and tasks",
          "[agent]") {
  struct Row {
    GuestCapacity capacity;
    ContainerShare share;
  };
  const Row rows[] = {// 128 MiB: the least reserve, and as many tasks as its memory has room for
                      {{100 * mib, 70 * mib, 800, 60}, {62 * mib, 400}},
                      {{512 * mib, 480 * mib, 4096, 96}, {464 * mib, 2048}},
                      {{1024 * mib, 1000 * mib, 8000, 100}, {968 * mib, 4096}},
                      {{1024 * mib, 1000 * mib, 2000, 100}, {968 * mib, 1775}},
                      // 64 GiB: the largest reserve
                      {{65536 * mib, 65000 * mib, 32768, 500}, {64968 * mib, 32012}},
                      // too small for any reserve: half of what is free
                      {{16 * mib, 10 * mib, 100, 60}, {5 * mib, 20}},
                      {{16 * mib, 0, 50, 60}, {0, 0}}};
  for (const Row& row : rows) {
    CAPTURE(row.capacity.memory_total / mib);
    const ContainerShare share = plan_container_share(row.capacity);
    CHECK(share.memory_max == row.share.memory_max);
    CHECK(share.pids_max == row.share.pids_max);
  }
}

TEST_CASE("reserve: the guest's capacity is what /proc says", "[agent]") {
  CHECK(parse_guest_capacity(meminfo, "0.20 0.18 0.12 1/80 11206\n", "3900\n", "32768\n") ==
        GuestCapacity{496328u * 1024u, 450000u * 1024u, 3900, 80});
  CHECK(parse_guest_capacity(meminfo, "0 0 0 1/80 1\n", "500000\n", "32768\n").tasks_max == 32768);
  CHECK_THROWS_AS(parse_guest_capacity("MemTotal: 1 kB\n", "0 0 0 1/80 1\n", "1\n", "1\n"), Error);
  CHECK_THROWS_AS(parse_guest_capacity(meminfo, "0 0 0\n", "1\n", "1\n"), Error);
  CHECK_THROWS_AS(parse_guest_capacity(meminfo, "0 0 0 1/80 1\n", "max\n", "1\n"), Error);
  const GuestCapacity here = load_guest_capacity();
  CHECK(here.memory_total > here.memory_available);
  CHECK(here.tasks_max > here.tasks);
}

TEST_CASE("reserve: the containers' cgroup gets both limits", "[agent]") {
  const fs::path cgroup = fs::temp_directory_path() / ("husk-reserve-" + random_hex(8));
  fs::create_directory(cgroup);
  for (const char* file : {"memory.max", "pids.max"}) std::ofstream(cgroup / file).flush();
  apply_container_share({62 * mib, 676}, cgroup);
  CHECK(read_file(cgroup / "memory.max", 64) == "65011712");
  CHECK(read_file(cgroup / "pids.max", 64) == "676");
  fs::remove(cgroup / "pids.max");
  CHECK_THROWS_AS(apply_container_share({62 * mib, 676}, cgroup), Error);
  fs::remove_all(cgroup);
}
