// SPDX-License-Identifier: Apache-2.0
#include "lib/runtime/find_host_facts.hpp"

#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <fstream>

#include "lib/base/error.hpp"
#include "lib/base/files.hpp"
#include "lib/runtime/host/host_sysctls.hpp"
#include "test/lib/base/scratch.hpp"

using namespace husk;
using namespace husk::runtime;
using Catch::Matchers::ContainsSubstring;
using husk::test::Scratch;
namespace fs = std::filesystem;

namespace {

HostFacts find(const Config& config, const std::optional<fs::path>& pid_file = {}) {
  const CreateRequest request{.id = "c1", .bundle = "/b", .pid_file = pid_file, .streams = {}};
  return find_host_facts(config, request, {}, {}, StateStore("/no/root"));
}

}  // namespace

TEST_CASE("find_host_facts: what does not change is the same twice, what is made up is not",
          "[runtime]") {
  Config config;
  config.accelerator = hypervisor::Accelerator::kvm;
  const HostFacts one = find(config);
  const HostFacts two = find(config);
  CHECK(one.accelerator == hypervisor::Accelerator::kvm);
  CHECK(one.memory_mib > 0);
  CHECK(one.memory_mib < 1ULL << 30);  // MiB, not bytes or KiB
  CHECK(one.owner == two.owner);
  if (::getuid() == 0) CHECK(one.owner == "root");
  CHECK(one.has_systemd == fs::exists("/run/systemd/system"));
  CHECK(one.pid_file_place == PidFilePlace::good);
  CHECK(one.vm_id.size() == 8);
  CHECK(one.secret.size() == 32);
  CHECK(one.vm_id != two.vm_id);
  CHECK(one.secret != two.secret);
  CHECK(one.now < two.now);
}

TEST_CASE("find_host_facts: looks at the place of the pid file", "[runtime]") {
  const Scratch dir;
  fs::create_directories(dir.path() / "folder");
  const auto place = [&](const char* name) { return find({}, dir.path() / name).pid_file_place; };
  CHECK(place("pid") == PidFilePlace::good);
  CHECK(place("folder") == PidFilePlace::occupied);
  CHECK(place("none/pid") == PidFilePlace::no_folder);
  std::ofstream(dir.path() / "old") << "77";  // of an earlier container: is replaced
  CHECK(place("old") == PidFilePlace::good);
  CHECK(place("old/pid") == PidFilePlace::no_folder);
}

TEST_CASE("check_pid_file: lets good places pass, and names the path of others", "[runtime]") {
  CHECK_NOTHROW(check_pid_file("/x", PidFilePlace::good));
  CHECK_THROWS_WITH(check_pid_file("/a/b", PidFilePlace::no_folder),
                    "pid file /a/b: its directory is missing or not writable");
  CHECK_THROWS_WITH(check_pid_file("/a/b", PidFilePlace::occupied),
                    "pid file /a/b: is occupied by a directory");
}

TEST_CASE("write_pid_file: writes the number alone, and replaces a former one", "[runtime]") {
  const Scratch dir;
  write_pid_file(dir.path() / "pid", 123456);
  write_pid_file(dir.path() / "pid", 78);
  CHECK(read_file(dir.path() / "pid", 100) == "78");
  CHECK_THROWS_WITH(write_pid_file(dir.path() / "none/pid", 78), ContainsSubstring("pid file: "));
}

TEST_CASE("load_host_sysctls: reads those that are there, without the line's end", "[runtime]") {
  const Scratch proc;
  fs::create_directories(proc.path() / "vm");
  fs::create_directories(proc.path() / "kernel");
  std::ofstream(proc.path() / "vm/max_map_count") << "262144\n";
  std::ofstream(proc.path() / "kernel/core_pattern") << "|/bin/secret\n";  // not a limit
  CHECK(load_host_sysctls(proc.path()) == KernelParameters{{"vm/max_map_count", "262144"}});
}
