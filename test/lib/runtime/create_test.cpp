// SPDX-License-Identifier: Apache-2.0
// One case for each step of create that can fail: the text names it, nothing is left, and the id
// can be used again.
#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <csignal>
#include <fstream>

#include "lib/base/error.hpp"
#include "test/lib/runtime/husk_bench.hpp"

using namespace husk;
using namespace husk::test;
using namespace std::chrono_literals;
using Catch::Matchers::ContainsSubstring;
namespace fs = std::filesystem;

namespace {

using Nothing = std::vector<std::string>;

std::size_t open_descriptors() {
  const fs::directory_iterator all("/proc/self/fd");
  return static_cast<std::size_t>(std::distance(begin(all), end(all)));
}

/// What create says; afterwards nothing may be there.
std::string failing_create(HuskBench& bench, const runtime::CreateRequest& request) {
  const std::size_t descriptors = open_descriptors();
  const std::string text = failure_text([&] { bench.runtime().create(request); });
  CHECK(open_descriptors() == descriptors);
  CHECK(bench.left() == Nothing{});
  CHECK(bench.machine.destroyed.size() == bench.machine.vms.size());
  return text;
}
std::string failing_create(HuskBench& bench) { return failing_create(bench, bench.request()); }

void check_id_is_free(HuskBench& bench) {
  bench.machine.fault = Fault::none;
  bench.create();
  CHECK(bench.runtime().state(bench.id).status == "created");
  bench.runtime().remove(bench.id, true);
  CHECK(bench.left() == Nothing{});
}

}  // namespace

TEST_CASE("create: with nothing wrong a container is created, runs, ends and goes",
          "[runtime][root]") {
  HuskBench bench;
  const auto created = bench.create();
  CHECK(bench.runtime().state("c1").status == "created");
  CHECK(bench.runtime().state("c1").pid == created.shim_pid);
  CHECK(bench.look().size() >= 4);  // the check itself can fail
  bench.runtime().start("c1");
  CHECK(bench.runtime().state("c1").status == "running");
  bench.runtime().kill("c1", SIGKILL, false);
  CHECK(bench.runtime().state("c1").status == "stopped");
  bench.runtime().remove("c1", false);
  CHECK(bench.left() == Nothing{});
  CHECK(bench.journal() == std::vector<std::string>{"create", "own", "start", "signal 9"});
}

TEST_CASE("create: a VM or an agent that fails is named, and leaves nothing", "[runtime][root]") {
  struct Case {
    Fault fault;
    const char* text;
  };
  const Case c = GENERATE(
      Case{Fault::no_hypervisor, "libvirt is not installed"},
      Case{Fault::start_throws, "start the VM: no such machine type"},
      Case{Fault::ends_at_once, "the virtual machine ended"},
      Case{Fault::ends_while_booting, "the guest did not come up: the virtual machine ended"},
      Case{Fault::announces_another,
           "the guest did not come up: the guest agent speaks protocol 77 to 78, the host "},
      Case{Fault::refuses_hello, "the secret is wrong"},
      Case{Fault::refuses_stream, "open a stream of the guest: the guest agent did not accept"},
      Case{Fault::refuses_create, "no such program in the image"},
      Case{Fault::refuses_owner, "the shim: owner refused"},
      Case{Fault::exits_before_its_owner, "the shim: "});
  CAPTURE(c.text);
  HuskBench bench;
  bench.machine.fault = c.fault;
  CHECK_THAT(failing_create(bench), ContainsSubstring(c.text));
  check_id_is_free(bench);
}

TEST_CASE("create: a keeper that is killed while the guest boots is named at once",
          "[runtime][root]") {
  HuskBench bench;
  bench.machine.fault = Fault::never_announces;
  bench.config.boot_timeout = 60s;
  // The hooks run when the VM is in the keeper's hands, and before husk waits for the guest.
  bench.spec.hooks.create_runtime = {script_hook(
      bench, "cd /run/husk-vm && pkill -KILL -f \"^husk-keeper $(echo */ | tr -d /)\"")};
  const auto begin = std::chrono::steady_clock::now();
  CHECK_THAT(failing_create(bench),
             ContainsSubstring("the guest did not come up: the VM's keeper ended"));
  CHECK(std::chrono::steady_clock::now() - begin < 30s);
  bench.spec.hooks = {};
  bench.config.boot_timeout = 10s;
  check_id_is_free(bench);
}

TEST_CASE("create: a guest that never comes up is given up, and its console is shown",
          "[runtime][root]") {
  HuskBench bench;
  bench.machine.fault = Fault::never_announces;
  bench.config.boot_timeout = 1s;
  CHECK_THAT(failing_create(bench),
             ContainsSubstring("the guest did not come up: ") && ContainsSubstring("1000 ms") &&
                 ContainsSubstring("the guest's console ended with: fake kernel panic"));
  bench.config.boot_timeout = 10s;
  check_id_is_free(bench);
}

TEST_CASE("create: a container that ends as soon as it has an owner leaves nothing",
          "[runtime][root]") {
  HuskBench bench;
  bench.machine.fault = Fault::exits_at_once;
  try {
    bench.create();
    // The end came after create's last look: a container like any other that has stopped.
    bench.runtime().remove("c1", true);
  } catch (const Error& e) {
    CHECK_THAT(e.what(), ContainsSubstring("the shim exited before the container was created"));
  }
  CHECK(bench.left() == Nothing{});
  check_id_is_free(bench);
}

TEST_CASE("create: what is missing is named before a VM is started for it", "[runtime][root]") {
  HuskBench bench;
  const runtime::InstallPaths paths = bench.paths;
  const oci::Spec spec = bench.spec;
  std::string expected;
  SECTION("the shim") {
    bench.paths.shim = bench.path("no-shim");
    expected = "open " + bench.paths.shim.string();
  }
  SECTION("a shim that is no program") {
    bench.paths.shim = bench.path("kernel");
    expected = "set up the shim: execute husk-shim";
  }
  SECTION("the guest's kernel") {
    bench.paths.kernel = bench.path("no-kernel");
    expected = "guest kernel " + bench.paths.kernel.string() + " is missing";
  }
  SECTION("the rootfs") {
    bench.spec.root->path = "no-rootfs";
    expected = "no-rootfs";
  }
  SECTION("a bind's source") {
    oci::Mount bind;
    bind.destination = "/data";
    bind.source = bench.path("no-source");
    bind.options = {"bind"};
    bench.spec.mounts.push_back(bind);
    expected = "mount source: bind " + *bind.source;
  }
  SECTION("a namespace") {
    for (oci::Namespace& ns : bench.spec.linux_.namespaces) {
      if (ns.type == "network") ns.path = bench.path("no-namespace");
    }
    expected = "open network namespace: " + bench.path("no-namespace").string();
  }
  SECTION("memory") {
    bench.config.memory_mib = 1ULL << 40;
    expected = "not enough memory for the VM";
  }
  CHECK_THAT(failing_create(bench), ContainsSubstring(expected));
  CHECK(bench.machine.vms.empty());
  bench.paths = paths;
  bench.spec = spec;
  bench.config.memory_mib = 128;
  check_id_is_free(bench);
}

TEST_CASE("create: what the plan refuses has touched nothing", "[runtime][root]") {
  HuskBench bench;
  fs::remove(bench.path("root"));
  runtime::CreateRequest request = bench.request();
  std::string expected;
  SECTION("a pid file without a folder") {
    request.pid_file = bench.path("none/pid");
    expected = "none/pid: its directory is missing or not writable";
  }
  SECTION("a pid file that is a folder") {
    request.pid_file = bench.path("bundle");
    expected = "is occupied by a directory";
  }
  SECTION("a cgroup of another form") {
    request.systemd_cgroup = true;
    expected = "expected the form \"slice:prefix:name\"";
  }
  SECTION("a terminal") {
    bench.spec.process->terminal = true;
    request = bench.request();
    expected = "without setting console socket";
  }
  SECTION("an id that is none") {
    request.id = "../c1";
    expected = "../c1";
  }
  CHECK_THAT(failing_create(bench, request), ContainsSubstring(expected));
  CHECK_FALSE(fs::exists(bench.path("root")));  // the place of all states is made with the first
}

TEST_CASE("create: what is lost while the guest boots is named", "[runtime][root]") {
  HuskBench bench;
  runtime::CreateRequest request;
  std::string script, expected;
  std::optional<fs::path> pid_file;
  SECTION("the folder of the pid file") {
    fs::create_directories(bench.path("pids"));
    pid_file = bench.path("pids/pid");
    script = "rmdir $BENCH/pids";
    expected = "pid file: ";
  }
  SECTION("the shim") {
    script = "kill -9 $(sed 's/.*\"pid\":\\([0-9]*\\).*/\\1/')";
    expected = "the shim";
  }
  SECTION("husk's own hook") {
    script = "echo what went wrong >&2; exit 3";
    expected = "createRuntime hook #0 /bin/sh: exit status 3: what went wrong";
  }
  bench.spec.hooks.create_runtime = {script_hook(bench, script)};
  request = bench.request();
  request.pid_file = pid_file;
  CHECK_THAT(failing_create(bench, request), ContainsSubstring(expected));
  bench.spec.hooks = {};
  check_id_is_free(bench);
}

TEST_CASE("create: an id that is in use is refused, and its container stays", "[runtime][root]") {
  HuskBench bench;
  bench.create();
  CHECK_THAT(failure_text([&] { bench.create(); }),
             ContainsSubstring("container with given ID already exists"));
  CHECK(bench.runtime().state("c1").status == "created");
  CHECK(bench.machine.vms.size() == 1);
}

TEST_CASE("create: the pid file has the shim's pid", "[runtime][root]") {
  HuskBench bench;
  runtime::CreateRequest request = bench.request();
  request.pid_file = bench.path("pid");
  const auto created = bench.runtime().create(request);
  CHECK(bench.text_in("pid") == std::to_string(created.shim_pid));
}

TEST_CASE("create: programs in the image that are called like husk's are not run",
          "[runtime][root]") {
  HuskBench bench;
  const fs::path bin = bench.path("bundle/rootfs/bin");
  for (const char* name : {"husk-shim", "vhost-device-vsock", "mount", "sh", "virtiofsd"}) {
    std::ofstream(bin / name) << "#!/usr/bin/env -S /bin/sh\n: > " << bench.path("was-run").string()
                              << "\n";
    ::chmod((bin / name).c_str(), 0755);
  }
  const std::string search_path = ::getenv("PATH");
  const fs::path before = fs::current_path();
  ::setenv("PATH", bin.c_str(), 1);
  fs::current_path(bin);
  bench.create_and_start();
  bench.runtime().remove("c1", true);
  fs::current_path(before);
  ::setenv("PATH", search_path.c_str(), 1);
  CHECK_FALSE(fs::exists(bench.path("was-run")));
  CHECK(bench.left() == Nothing{});
}

TEST_CASE("start: a refusal is told, and the container can be deleted", "[runtime][root]") {
  HuskBench bench;
  bench.machine.fault = Fault::refuses_start;
  bench.create();
  CHECK_THAT(failure_text([&] { bench.runtime().start("c1"); }),
             ContainsSubstring("permission denied by the image"));
  CHECK(bench.runtime().state("c1").status == "stopped");
  bench.runtime().remove("c1", false);
  CHECK(bench.left() == Nothing{});
}
