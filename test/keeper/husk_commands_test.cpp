// SPDX-License-Identifier: Apache-2.0
#include "keeper/husk_commands.hpp"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

#include "lib/base/descriptors.hpp"
#include "lib/base/directory_lock.hpp"
#include "lib/base/error.hpp"
#include "test/lib/base/scratch.hpp"

using namespace husk;
using namespace husk::keeper;
using namespace std::chrono_literals;

namespace {

struct FakeHusk {
  test::Scratch scratch;
  handoff::KeeperBegin begin{.vm_id = scratch.path().string(),
                             .husk = UniqueFd(::open(HUSK_FAKE, O_PATH | O_CLOEXEC))};

  std::string written(const char* name) const {
    std::stringstream text;
    text << std::ifstream(scratch.path() / name).rdbuf();
    return text.str();
  }
  void write(const char* name, const std::string& text) const {
    std::ofstream(scratch.path() / name) << text;
  }
};

/// The status of a child that does it: those that become husk never return.
int in_child(const std::function<void()>& work) {
  const pid_t child = ::fork();
  if (child == 0) {
    work();
    ::_exit(99);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

}  // namespace

TEST_CASE("husk commands: the shims are those of the VM's record, of whatever version",
          "[keeper]") {
  FakeHusk husk;
  husk.begin.record = (husk.scratch.path() / "vm.json").string();
  const Duties duties = call_husk(husk.begin);
  CHECK_THROWS_AS(duties.find_shims(), Error);  // no record
  husk.write("vm.json", R"({"members": []})");
  CHECK(duties.find_shims().empty());
  husk.write("vm.json", R"({"version": 99, "members": [
      {"id": "a", "shim": {"pid": 12, "startTime": 345}}, {"id": "no shim yet"},
      {"id": "b", "more": 1, "shim": {"pid": 6789, "startTime": 18446744073709551615}}]})");
  CHECK(duties.find_shims() ==
        std::vector<ProcessIdentity>{{12, 345}, {6789, 18446744073709551615U}});
  for (const char* wrong : {"", "[]", "{}", R"({"members": 7})", R"({"members": [7]})",
                            R"({"members": [{"shim": {"pid": 1e99, "startTime": 1}}]})"}) {
    CAPTURE(wrong);
    husk.write("vm.json", wrong);
    CHECK_THROWS_AS(duties.find_shims(), Error);
  }
}

TEST_CASE("husk commands: a pod is there as long as its containers and its network", "[keeper]") {
  FakeHusk husk;
  CHECK_FALSE(call_husk(husk.begin).is_pod_there);  // no pod's VM
  husk.begin.record = (husk.scratch.path() / "vm.json").string();
  husk.begin.pod_network = husk.begin.own_pod_network = "/proc/self/ns/net";
  const Duties duties = call_husk(husk.begin);
  CHECK_THROWS_AS(duties.is_pod_there(), Error);  // no record
  husk.write("vm.json", R"({"members": []})");
  CHECK_FALSE(duties.is_pod_there());
  husk.write("vm.json", R"({"members": [{"id": "a"}]})");
  CHECK(duties.is_pod_there());
  husk.begin.pod_network = (husk.scratch.path() / "vm.json").string();  // what an unmount shows
  CHECK_THROWS_AS(duties.is_pod_there(), Error);
  husk.begin.pod_network = (husk.scratch.path() / "none").string();
  CHECK_THROWS_AS(duties.is_pod_there(), Error);
}

TEST_CASE("husk commands: a connection is husk's standard input", "[keeper]") {
  const FakeHusk husk;
  const Duties duties = call_husk(husk.begin);
  Pipe pipe = make_pipe();
  REQUIRE(::write(pipe.write_end.get(), "hello", 5) == 5);
  pipe.write_end.reset();
  CHECK(in_child([&] { duties.on_connection(std::move(pipe.read_end)); }) == 0);
  CHECK(husk.written("forwarded") == "hello");
  CHECK(in_child(duties.on_change) == 0);
  CHECK_FALSE(husk.written("follow-network").empty());
  duties.end_abandoned();
  CHECK(husk.written("end-abandoned") == std::to_string(::getpid()));
}

TEST_CASE("husk commands: a change of the network that no guest was told yet needs no husk",
          "[keeper]") {
  FakeHusk husk;
  const std::filesystem::path told = husk.scratch.path() / "network" / "told.json";
  husk.begin.told_network = told.string();
  const Duties duties = call_husk(husk.begin);
  CHECK(in_child(duties.on_change) == 99);  // no directory: the VM is gone
  std::filesystem::create_directory(told.parent_path());
  CHECK(in_child(duties.on_change) == 99);
  husk.write("network/told.json", "{}");
  CHECK(in_child(duties.on_change) == 0);
  CHECK_FALSE(husk.written("follow-network").empty());
}

TEST_CASE("husk commands: a change while the guest is told for the first time is not lost",
          "[keeper]") {
  FakeHusk husk;
  const std::filesystem::path told = husk.scratch.path() / "network" / "told.json";
  std::filesystem::create_directory(told.parent_path());
  husk.begin.told_network = told.string();
  const Duties duties = call_husk(husk.begin);
  auto teller = DirectoryLock::lock(told.parent_path(), 1s, "test");
  const pid_t follower = ::fork();
  if (follower == 0) {
    teller.reset();
    duties.on_change();
    ::_exit(99);
  }
  std::this_thread::sleep_for(50ms);  // without the lock the follower looks now, and finds nothing
  husk.write("network/told.json", "{}");
  teller.reset();
  int status = 0;
  ::waitpid(follower, &status, 0);
  CHECK(WEXITSTATUS(status) == 0);
  CHECK_FALSE(husk.written("follow-network").empty());
}

TEST_CASE("husk commands: a husk whose file was replaced is run all the same", "[keeper]") {
  FakeHusk husk;
  const std::filesystem::path copy = husk.scratch.path() / "husk";
  std::filesystem::copy_file(HUSK_FAKE, copy);
  husk.begin.husk.reset(::open(copy.c_str(), O_PATH | O_CLOEXEC));
  std::filesystem::remove(copy);
  CHECK(in_child(call_husk(husk.begin).on_change) == 0);
  CHECK_FALSE(husk.written("follow-network").empty());
}

TEST_CASE("husk commands: without husk there are no duties", "[keeper]") {
  const handoff::KeeperBegin begin{.vm_id = "00001234"};
  const Duties duties = call_husk(begin);
  CHECK_FALSE(duties.find_shims);
  CHECK_FALSE(duties.on_change);
}
