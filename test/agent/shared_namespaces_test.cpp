// SPDX-License-Identifier: Apache-2.0
// Containers of one guest that have namespaces in common.
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include "agent/container/namespace_table.hpp"
#include "test/agent/container_bench.hpp"

using namespace husk;
using namespace husk::test;
using agent::NamespaceTable;
using guestcomm::NamespaceUse;
using Way = NamespaceUse::Way;

namespace {

/// The namespaces of a container's first process, as /proc has them.
std::string namespace_of(const Bench& bench, const std::string& type) {
  const std::string link =
      "/proc/" + std::to_string(bench.container->first().pid()) + "/ns/" + type;
  return fs::read_symlink(link);
}

/// A container that runs, whose namespaces are named "1:1" and so on.
struct First {
  First() {
    bench.namespace_table = &table;
    bench.namespaces = {
        {"pid", "1:1", Way::make}, {"ipc", "1:2", Way::make}, {"uts", "1:3", Way::make}};
    oci::Spec spec = bench.spec("exec /bin/busybox sleep 1000");
    spec.hostname = "first";
    bench.create(std::move(spec));
    bench.start();
  }
  NamespaceTable table;
  Bench bench;
};

struct Second {
  Second(First& one, std::vector<NamespaceUse> uses) : first(one) {
    bench.namespace_table = &first.table;
    bench.namespaces = std::move(uses);
  }
  Second(const Second&) = delete;
  Second& operator=(const Second&) = delete;
  ~Second() { first.bench.container->kill(); }  // the bench waits for every child
  First& first;
  Bench bench;
};

}  // namespace

TEST_CASE("shared namespaces: joined by name, private otherwise", "[agent][root]") {
  SKIP_UNLESS_POSSIBLE();
  First first;
  Second second(first, {{"pid", "2:1", Way::join, "1:1"},
                        {"ipc", "2:2", Way::make},
                        {"uts", "1:3", Way::join, "1:3"}});
  second.bench.create(second.bench.spec("/bin/busybox hostname; echo $$; exit 5"));
  CHECK_FALSE(second.bench.error);
  CHECK(namespace_of(second.bench, "pid") == namespace_of(first.bench, "pid"));
  CHECK(namespace_of(second.bench, "uts") == namespace_of(first.bench, "uts"));
  CHECK(namespace_of(second.bench, "ipc") != namespace_of(first.bench, "ipc"));
  CHECK(namespace_of(second.bench, "mnt") != namespace_of(first.bench, "mnt"));
  second.bench.start();
  const std::string said = second.bench.finish();
  CHECK(said.starts_with("first\n"));
  CHECK(said.substr(6) != "1\n");  // process 1 is the first's
  CHECK(second.bench.container->first().status() == 5);
  CHECK(first.bench.container->first().state() == agent::Process::State::running);
}

TEST_CASE("shared namespaces: the name of a container's own is not another's of before",
          "[agent][root]") {
  SKIP_UNLESS_POSSIBLE();
  First first;
  // The host's namespace of that number is another one by now.
  Second second(first, {{"pid", "1:1", Way::make}, {"ipc", "1:2", Way::make}});
  second.bench.create(second.bench.spec("exec /bin/busybox sleep 1000"));
  CHECK(namespace_of(second.bench, "pid") != namespace_of(first.bench, "pid"));
  CHECK(namespace_of(second.bench, "ipc") != namespace_of(first.bench, "ipc"));
  const agent::GuestNamespaces found = first.table.find({{"ipc", "3:2", Way::join, "1:2"}});
  CHECK(fs::read_symlink("/proc/self/fd/" + std::to_string(found.at(0)->fd.get())) ==
        namespace_of(second.bench, "ipc"));
}

TEST_CASE("shared namespaces: gone with the last container that has them", "[agent][root]") {
  SKIP_UNLESS_POSSIBLE();
  NamespaceTable table;
  {
    Bench bench;
    bench.namespace_table = &table;
    bench.namespaces = {{"ipc", "1:2", Way::make}, {"uts", "1:3", Way::share, "1:3"}};
    bench.create(bench.spec("exec /bin/busybox sleep 1000"));
    bench.start();
    CHECK(table.find({{"ipc", "2:2", Way::join, "1:2"}, {"uts", "2:3", Way::join, "1:3"}}).size() ==
          2);
    // Its shim has gone, and another shim may have a namespace of that number.
    bench.container->kill();
    bench.run_until([&] { return bench.stopped; });
    CHECK(table.find({{"ipc", "2:2", Way::share, "1:2"}}).empty());
    // One that the caller has pinned is the pod's, until the container is deleted.
    CHECK(table.find({{"uts", "2:3", Way::share, "1:3"}}).size() == 1);
  }
  CHECK(table.find({{"uts", "2:3", Way::share, "1:3"}}).empty());
  CHECK_THROWS_WITH(table.find({{"ipc", "2:2", Way::join, "1:2"}}),
                    "the ipc namespace to be joined: no container in the VM has it");
  CHECK(table.find({{"ipc", "2:2", Way::share, "1:2"}}).empty());  // is made then
  CHECK(table.find({{"pid", "2:3", Way::make}}).empty());
}

TEST_CASE("shared namespaces: a pinned one stays with each container that has joined",
          "[agent][root]") {
  SKIP_UNLESS_POSSIBLE();
  NamespaceTable table;
  std::optional<Bench> first(std::in_place);
  first->namespace_table = &table;
  first->namespaces = {{"uts", "1:3", Way::share, "1:3"}};
  first->create(first->spec("exec /bin/busybox sleep 1000"));
  Bench second;
  second.namespace_table = &table;
  second.namespaces = {{"uts", "1:3", Way::join, "1:3"}};
  second.create(second.spec("exec /bin/busybox sleep 1000"));
  first->container->kill();
  first->run_until([&] { return first->stopped; });
  first.reset();  // deleted
  second.container->kill();
  second.run_until([&] { return second.stopped; });
  CHECK(table.find({{"uts", "2:3", Way::share, "1:3"}}).size() == 1);
}

TEST_CASE("shared namespaces: the name of one that joined leads there as well", "[agent][root]") {
  SKIP_UNLESS_POSSIBLE();
  First first;
  Second second(first, {{"pid", "2:1", Way::join, "1:1"}});
  second.bench.create(second.bench.spec("exec /bin/busybox sleep 1000"));
  const agent::GuestNamespaces found = first.table.find({{"pid", "3:1", Way::join, "2:1"}});
  CHECK(fs::read_symlink("/proc/self/fd/" + std::to_string(found.at(0)->fd.get())) ==
        namespace_of(first.bench, "pid"));
}

TEST_CASE("shared namespaces: a pid namespace whose first process has ended cannot be joined",
          "[agent][root]") {
  SKIP_UNLESS_POSSIBLE();
  First first;
  const agent::GuestNamespaces held = first.table.find({{"pid", "3:1", Way::join, "1:1"}});
  first.bench.container->kill();
  first.bench.run_until([&] { return first.bench.stopped; });
  Second second(first, {{"pid", "2:1", Way::join, "1:1"}});
  CHECK_THROWS_WITH(
      second.bench.create(second.bench.spec("true")),
      "the pid namespace to be joined has no first process any more, or the guest has no "
      "memory for another process");
}

TEST_CASE("shared namespaces: with process 1 of the pid namespace all in it end", "[agent][root]") {
  SKIP_UNLESS_POSSIBLE();
  First first;
  Second second(first, {{"pid", "2:1", Way::join, "1:1"}});
  second.bench.create(second.bench.spec("exec /bin/busybox sleep 1000"));
  second.bench.start();
  first.bench.container->kill();
  second.bench.run_until([&] { return second.bench.stopped; });
  CHECK(second.bench.container->first().status() == 137);
}
