// SPDX-License-Identifier: Apache-2.0
#include "lib/runtime/record/state_store.hpp"

#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <fstream>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <thread>

#include "lib/base/error.hpp"
#include "test/lib/base/scratch.hpp"

using namespace husk;
using namespace husk::runtime;
using Catch::Matchers::ContainsSubstring;
using husk::test::Scratch;

namespace {
ContainerRecord make_record(const std::string& id) {
  ContainerRecord record;
  record.id = id;
  record.oci_version = "1.2.0";
  record.created = "2026-11-23T00:00:00.000000000Z";
  record.owner = "root";
  record.bundle = "/b";
  record.rootfs = "/b/rootfs";
  record.annotations = {{"a", "b"}};
  record.vm_id = "00001234";
  record.cgroups = {"/sys/fs/cgroup/x"};
  record.hooks.poststop = {
      {.path = "/h", .args = {"h", "x"}, .env = std::vector<std::string>{"A=b"}, .timeout = 3}};
  return record;
}
}  // namespace

TEST_CASE("StateDir: is gone again unless kept", "[runtime]") {
  const Scratch dir;
  const StateStore store(dir.path());
  { const StateDir reserved = store.reserve("c1"); }
  CHECK_FALSE(store.exists("c1"));
  {
    StateDir reserved = store.reserve("c1");
    reserved.keep();
  }
  CHECK(store.exists("c1"));
  CHECK_THROWS_WITH(store.reserve("c1"), "container with given ID already exists");
}

TEST_CASE("StateStore: a record comes back as it was", "[runtime]") {
  const Scratch dir;
  const StateStore store(dir.path());
  StateDir reserved = store.reserve("c1");
  ContainerRecord record = make_record("c1");
  record.shim = identify_process(::getpid());
  reserved.save(record);
  const ContainerRecord back = store.load("c1");
  CHECK(nlohmann::json(back) == nlohmann::json(record));
  CHECK(back.vm_id == "00001234");
  CHECK(back.shim == record.shim);
  CHECK(back.hooks == record.hooks);
}

TEST_CASE("StateStore: without a shim, the lock tells whether create is at work", "[runtime]") {
  const Scratch dir;
  const StateStore store(dir.path());
  {
    StateDir reserved = store.reserve("c1");
    reserved.save(make_record("c1"));
    CHECK(store.load_with_state("c1").state == ContainerState::creating);
    reserved.keep();
  }
  CHECK(store.load_with_state("c1").state == ContainerState::stopped);
  CHECK(store.load_with_state("c1").record.vm_id == "00001234");
}

TEST_CASE("StateStore: the lock of a container with a shim tells nothing", "[runtime]") {
  const Scratch dir;
  const StateStore store(dir.path());
  StateDir reserved = store.reserve("c1");
  ContainerRecord record = make_record("c1");
  record.shim = identify_process(::getpid());
  reserved.save(record);
  CHECK(store.load_with_state("c1").state == ContainerState::created);
  CHECK_THROWS_WITH(store.load_with_state("none"), "container does not exist");
}

TEST_CASE("StateStore: unknown, damaged and foreign entries are told apart", "[runtime]") {
  const Scratch dir;
  const StateStore store(dir.path());
  CHECK_THROWS_WITH(store.load("none"), "container does not exist");
  CHECK_THROWS_WITH(store.lock("none"), "container does not exist");
  CHECK_THROWS_AS(store.load("../x"), Error);
  std::filesystem::create_directories(dir.path() / "bad");
  for (const char* text :
       {"", "{", "[]", "{}", "{\"version\":1}", "{\"version\":2}", "{\"version\":3}"}) {
    CAPTURE(text);
    std::ofstream(dir.path() / "bad/state.json") << text;
    CHECK_THROWS_AS(store.load("bad"), Error);
  }
  std::filesystem::create_directories(dir.path() /
                                      "runc-container");  // another runtime's, without our file
  CHECK(store.ids() == std::vector<std::string>{"bad"});
}

TEST_CASE("StateStore: what clean-up needs is read of any version, and of a damaged record",
          "[runtime]") {
  const Scratch dir;
  const StateStore store(dir.path());
  StateDir reserved = store.reserve("c1");
  CHECK_FALSE(store.load_left_overs("c1"));  // nothing written yet
  ContainerRecord record = make_record("c1");
  record.unit = "a.scope";
  record.shim = ProcessIdentity{1, 2};
  nlohmann::json json = record;
  json["version"] = 99;
  json["hooks"] = "of a shape that is not known yet";
  json.erase("created");
  std::ofstream(dir.path() / "c1/state.json") << json;
  CHECK_THROWS_AS(store.load("c1"), Error);
  const auto left = store.load_left_overs("c1");
  REQUIRE(left);
  CHECK(left->vm_id == "00001234");
  CHECK(left->unit == "a.scope");
  CHECK(left->cgroups == record.cgroups);
  CHECK(left->shim == record.shim);
  json["shim"] = "of another shape";
  json["cgroups"] = {7, "/sys/fs/cgroup/y"};
  json.erase("unit");
  std::ofstream(dir.path() / "c1/state.json") << json;
  const auto damaged = store.load_left_overs("c1");
  REQUIRE(damaged);
  CHECK(damaged->vm_id == "00001234");
  CHECK_FALSE(damaged->shim);
  CHECK(damaged->cgroups == std::vector<std::filesystem::path>{"/sys/fs/cgroup/y"});
  CHECK(damaged->unit.empty());
  for (const char* text : {"", "{", "[]"}) {
    std::ofstream(dir.path() / "c1/state.json") << text;
    CHECK_THROWS_WITH(store.load_left_overs("c1"), ContainsSubstring("state.json"));
  }
}

TEST_CASE("StateStore: what was saved can be loaded, however large", "[runtime]") {
  const Scratch dir;
  const StateStore store(dir.path());
  const StateDir reserved = store.reserve("c1");
  ContainerRecord record = make_record("c1");
  record.annotations["large"] = std::string(8U << 20, '\x01');  // six bytes each as JSON
  reserved.save(record);
  CHECK(store.load("c1").annotations == record.annotations);
  record.annotations["larger"] = std::string(3U << 20, '\x01');
  CHECK_THROWS_WITH(reserved.save(record), ContainsSubstring("larger than"));
}

TEST_CASE("StateStore: the root is for its owner alone", "[runtime]") {
  const Scratch dir;
  const StateStore store(dir.path() / "parent/root");
  const StateDir reserved = store.reserve("c1");
  struct stat status {};
  REQUIRE(::stat((dir.path() / "parent/root").c_str(), &status) == 0);
  CHECK((status.st_mode & 07777) == 0700);
}

TEST_CASE("StateStore: the holder of a lock is ended by who takes it over", "[runtime]") {
  const Scratch dir;
  const StateStore store(dir.path());
  { store.reserve("c1").keep(); }
  std::array<int, 2> ready{};
  REQUIRE(::pipe(ready.data()) == 0);
  const pid_t holder = ::fork();
  if (holder == 0) {
    const auto lock = store.lock("c1");
    [[maybe_unused]] const auto written = ::write(ready[1], "x", 1);
    ::pause();
    ::_exit(0);
  }
  char byte = 0;
  REQUIRE(::read(ready[0], &byte, 1) == 1);
  const DirectoryLock lock = store.take_lock_over("c1");
  int status = 0;
  REQUIRE(::waitpid(holder, &status, 0) == holder);
  CHECK(WIFSIGNALED(status));
  CHECK(store.is_locked("c1"));
}

TEST_CASE("StateStore: who waits for the lock of a container that goes is told so", "[runtime]") {
  const Scratch dir;
  const StateStore store(dir.path());
  std::unique_ptr<StateDir> reserved(new StateDir(store.reserve("c1")));
  std::thread waiting([&] { CHECK_THROWS_WITH(store.lock("c1"), "container does not exist"); });
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  reserved.reset();  // removes the directory, then lets the lock go
  waiting.join();
}

TEST_CASE("StateStore: who holds the lock is seen by others", "[runtime]") {
  const Scratch dir;
  const StateStore store(dir.path());
  {
    StateDir reserved = store.reserve("c1");
    reserved.keep();
    CHECK(store.is_locked("c1"));
  }
  CHECK_FALSE(store.is_locked("c1"));
  const DirectoryLock lock = store.lock("c1");
  CHECK(store.is_locked("c1"));
}

TEST_CASE("StateStore: nothing is removed but husk's own files", "[runtime]") {
  const Scratch dir;
  const StateStore store(dir.path());
  std::filesystem::create_directories(dir.path() / "alice");
  std::ofstream(dir.path() / "alice/letter") << "dear";
  for (const auto& call : std::vector<std::function<void()>>{[&] { store.check_own("alice"); },
                                                             [&] { store.remove("alice"); }}) {
    CHECK_THROWS_WITH(call(),
                      ContainsSubstring("alice: contains \"letter\", which husk did not create"));
  }
  CHECK(std::filesystem::exists(dir.path() / "alice/letter"));

  StateDir reserved = store.reserve("c1");
  reserved.save(make_record("c1"));
  std::ofstream(dir.path() / "c1/.state.json.0011aabb")
      << "half a rec";  // of a save that was killed
  CHECK_NOTHROW(store.check_own("c1"));
  store.remove("c1");
  CHECK_FALSE(std::filesystem::exists(dir.path() / "c1"));
  CHECK_NOTHROW(store.remove("c1"));
}

TEST_CASE("StateStore: a mount point is no state directory to be removed", "[runtime][root]") {
  if (::geteuid() != 0) SKIP("needs root");
  const Scratch dir;
  const StateStore store(dir.path());
  std::filesystem::create_directories(dir.path() / "disk");
  REQUIRE(::mount("tmpfs", (dir.path() / "disk").c_str(), "tmpfs", 0, "size=64k,mode=755") == 0);
  CHECK_THROWS_WITH(store.remove("disk"), ContainsSubstring("disk: device or resource busy"));
  ::umount2((dir.path() / "disk").c_str(), MNT_DETACH);
}

TEST_CASE("StateStore: another runtime's record is refused as such, and stays", "[runtime]") {
  const Scratch dir;
  const StateStore store(dir.path());
  std::filesystem::create_directories(dir.path() / "c1");
  std::ofstream(dir.path() / "c1/state.json") << R"({"id": "c1", "init_process_pid": 1})";
  const std::string text = "state of container c1: was created by another runtime";
  CHECK_THROWS_WITH(store.load("c1"), text);
  CHECK_THROWS_WITH(store.load_left_overs("c1"), text);
  CHECK_THROWS_WITH(store.check_own("c1"), text);
}

TEST_CASE("StateStore: a record that others could write is not believed", "[runtime][root]") {
  if (::geteuid() != 0) SKIP("needs root");
  const Scratch dir;
  const StateStore store(dir.path());
  StateDir reserved = store.reserve("c1");
  reserved.save(make_record("c1"));
  const std::filesystem::path folder = dir.path() / "c1", file = folder / "state.json";
  const auto check_refused = [&](const std::string& why) {
    CHECK_THROWS_WITH(store.load("c1"), ContainsSubstring(why));
    CHECK_THROWS_WITH(store.load_left_overs("c1"), ContainsSubstring(why));
    CHECK_THROWS_WITH(store.check_own("c1"), ContainsSubstring(why));
  };
  ::chmod(file.c_str(), 0606);
  check_refused("state.json: other users may write to it");
  ::chmod(file.c_str(), 0600);
  ::chmod(folder.c_str(), 0720);
  check_refused("c1: other users may write to it");
  ::chmod(folder.c_str(), 0700);
  REQUIRE(::chown(file.c_str(), 1000, 0) == 0);
  check_refused("state.json: belongs to user 1000, not to user 0");
  REQUIRE(::chown(file.c_str(), 0, 0) == 0);
  REQUIRE(::chown(folder.c_str(), 1000, 0) == 0);
  check_refused("c1: belongs to user 1000, not to user 0");
  REQUIRE(::chown(folder.c_str(), 0, 0) == 0);
  CHECK_NOTHROW(store.load("c1"));
}

TEST_CASE("StateStore: a root that others may write to is refused", "[runtime]") {
  const Scratch dir;
  std::filesystem::create_directories(dir.path() / "root");
  std::filesystem::permissions(dir.path() / "root", std::filesystem::perms(01777));
  CHECK_THROWS_WITH(StateStore(dir.path() / "root").reserve("c1"),
                    ContainsSubstring("root: other users may write to it"));
  const mode_t umask = ::umask(0);
  { const StateDir reserved = StateStore(dir.path() / "a/b/root/").reserve("c1"); }
  ::umask(umask);
  struct stat status {};
  REQUIRE(::stat((dir.path() / "a/b").c_str(), &status) == 0);
  CHECK((status.st_mode & 07777) == 0755);
  REQUIRE(::stat((dir.path() / "a/b/root").c_str(), &status) == 0);
  CHECK((status.st_mode & 07777) == 0700);
}

TEST_CASE("StateStore: fields that husk never wrote are refused", "[runtime]") {
  const Scratch dir;
  const StateStore store(dir.path());
  StateDir reserved = store.reserve("c1");
  const auto check_refused = [&](const char* field, const char* value, const char* why) {
    nlohmann::json json = make_record("c1");
    json[field] = value;
    std::ofstream(dir.path() / "c1/state.json") << json;
    CHECK_THROWS_WITH(store.load("c1"), ContainsSubstring(why));
  };
  for (const char* vm : {".", "..", "/home", "", "1234567"}) {
    check_refused("vmId", vm, "is not 8 hexadecimal digits");
    CHECK_THROWS_WITH(store.load_left_overs("c1"), ContainsSubstring("hexadecimal"));
  }
  check_refused("unit", "ssh.service", "unit \"ssh.service\": is neither a scope nor a slice");
  CHECK_THROWS_WITH(store.load_left_overs("c1"), ContainsSubstring("ssh.service"));
  check_refused("id", "../c2", "damaged state: belongs to \"../c2\"");
}
