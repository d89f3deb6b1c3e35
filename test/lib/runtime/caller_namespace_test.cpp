// SPDX-License-Identifier: Apache-2.0
// Commands that are called in another mount namespace than create was.
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <functional>
#include <string>

#include "lib/base/error.hpp"
#include "lib/base/mount_namespace.hpp"
#include "lib/runtime/vm/vm_directory.hpp"
#include "lib/runtime/vm/vm_record.hpp"
#include "test/lib/runtime/husk_bench.hpp"
#include "test/lib/runtime/named_process.hpp"

using namespace husk;
using namespace husk::test;
using Catch::Matchers::ContainsSubstring;
namespace fs = std::filesystem;

namespace {

using Nothing = std::vector<std::string>;

/// libvirt's socket, by whose peer its daemon's mount namespace is found: this process's.
class LibvirtSocket {
 public:
  LibvirtSocket() {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, path.size());
    fs::create_directories("/run/libvirt");
    check_sys(::bind(socket_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address),
              "bind");
    check_sys(::listen(socket_.get(), 8), "listen");
  }
  LibvirtSocket(const LibvirtSocket&) = delete;
  LibvirtSocket& operator=(const LibvirtSocket&) = delete;
  ~LibvirtSocket() {
    std::error_code none;
    fs::remove(path, none);
    fs::remove(fs::path(path).parent_path(), none);
  }

 private:
  static constexpr std::string_view path = "/run/libvirt/libvirt-sock";
  UniqueFd socket_{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
};

runtime::ExecRequest exec_true() {
  oci::Process process;
  process.args = {"true"};
  process.cwd = "/";
  runtime::ExecRequest request{
      .id = "c1", .process = process, .pid_file = {}, .cgroup = {}, .streams = {}};
  request.streams.detached = true;
  return request;
}

}  // namespace

TEST_CASE("mount namespace: delete finds the VM in that of libvirt's daemon", "[runtime][root]") {
  HuskBench bench;
  const unsigned long propagation = GENERATE(as<unsigned long>{}, MS_PRIVATE, MS_SLAVE);
  CAPTURE(propagation);
  const bool is_older = GENERATE(true, false);  // than the VM: its directory is empty then
  UniqueFd caller;
  if (is_older) caller = copy_mount_namespace(propagation);
  bench.create();
  if (!is_older) caller = copy_mount_namespace(propagation);
  const fs::path record = runtime::VmPaths(bench.vm_id()).record();
  {
    const LibvirtSocket libvirt;
    in_mount_namespace(caller.get(), [&] {
      CHECK(fs::exists(record) != is_older);
      bench.runtime().remove("c1", true);
    });
  }
  CHECK_FALSE(identify_process(bench.machine.vms.at(0)));
  CHECK(bench.left() == Nothing{});
}

TEST_CASE("mount namespace: delete takes no VM away from under other containers",
          "[runtime][root]") {
  HuskBench bench;
  const UniqueFd older = copy_mount_namespace(MS_PRIVATE);
  bench.create();
  const std::string vm_id = bench.vm_id();
  const runtime::VmPaths paths(vm_id);
  {
    const NamedProcess vm("husk-" + vm_id);
    in_mount_namespace(older.get(), [&] {
      CHECK_THROWS_WITH(
          bench.runtime().remove("c1", true),
          ContainsSubstring(paths.directory.string() + ": is mounted in another mount namespace"));
    });
    CHECK(vm.runs());
    CHECK(fs::exists(paths.record()));
  }
  bench.runtime().remove("c1", true);
  CHECK(bench.left() == Nothing{});
}

TEST_CASE("mount namespace: what needs the VM's files is refused where they are not",
          "[runtime][root]") {
  HuskBench bench;
  const UniqueFd older = copy_mount_namespace(MS_PRIVATE);
  bench.create();
  {
    const LibvirtSocket libvirt;
    const auto is_elsewhere =
        ContainsSubstring("is mounted in another mount namespace than husk's");
    in_mount_namespace(older.get(), [&] {
      CHECK(bench.runtime().state("c1").status == "created");
      CHECK_THROWS_WITH(bench.runtime().start("c1"), is_elsewhere);
    });
    bench.runtime().start("c1");
    in_mount_namespace(older.get(), [&] {
      CHECK_THROWS_WITH(bench.runtime().exec(exec_true()), is_elsewhere);
      CHECK(bench.runtime().state("c1").status == "running");
    });
  }
  bench.runtime().remove("c1", true);
  CHECK(bench.left() == Nothing{});
}
