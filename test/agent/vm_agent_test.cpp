// SPDX-License-Identifier: Apache-2.0
// The agent in a real guest, through its protocol.
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <fstream>
#include <thread>

#include "lib/base/error.hpp"
#include "lib/guestcomm/protocol/clock.hpp"
#include "lib/guestcomm/protocol/frame.hpp"
#include "test/agent/vm_container.hpp"

using Catch::Matchers::ContainsSubstring;
using husk::UniqueFd;
using namespace husk::guestcomm;
using namespace husk::test;
using namespace std::chrono_literals;

TEST_CASE("agent: a container's output, error output and exit code reach the host", "[vm]") {
  const Ended outcome = shell("echo out; echo err >&2; exit 3");
  CHECK(outcome.out == "out\n");
  CHECK(outcome.err == "err\n");
  CHECK(outcome.status == 3);
}

TEST_CASE("agent: 8 MiB go in and come out byte for byte", "[vm]") {
  std::string data;
  for (std::uint32_t n = 0; data.size() < (8u << 20); ++n) data += std::to_string(n * 2654435761u);
  const std::string id = new_id();
  Running container(id, make_spec(id, {"cat"}));
  container.own();
  container.start();
  std::thread writer([&] { container.send_stdin(data); });
  const Ended outcome = container.finish();
  writer.join();
  CHECK(outcome.status == 0);
  CHECK(outcome.out.size() == data.size());
  CHECK(outcome.out == data);
  client().call(DeleteContainer{id}, 20s);
}

TEST_CASE("agent: throughput of standard output", "[.bench]") {
  const std::string id = new_id();
  Running container(id, make_spec(id, {"dd", "if=/dev/zero", "bs=64k", "count=1024"}));
  container.own();
  const auto begin = std::chrono::steady_clock::now();
  container.start();
  const Ended outcome = container.finish();
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
  CHECK(outcome.out.size() == 64u << 20);
  WARN("64 MiB in " << seconds.count() << " s: " << 64 / seconds.count() << " MiB/s");
  client().call(DeleteContainer{id}, 20s);
}

TEST_CASE("agent: output written just before the end is not lost", "[vm]") {
  for (int round = 0; round < 5; ++round) {
    const Ended outcome = shell("dd if=/dev/zero bs=1000 count=300 2>/dev/null; exit 9");
    CHECK(outcome.out.size() == 300000);
    CHECK(outcome.status == 9);
  }
}

TEST_CASE("agent: the container has namespaces, mounts and devices of its own", "[vm]") {
  const Ended outcome = shell(
      "echo $$; ls /proc | grep -c '^[0-9]'; hostname; cat /proc/self/cgroup; ls /dev; "
      "cat /proc/mounts; echo x > /dev/null; stat -c %t:%T:%a /dev/null; readlink /dev/ptmx",
      [](husk::oci::Spec spec) {
        spec.hostname = "inside";
        return spec;
      });
  CHECK(outcome.err == "");
  CHECK_THAT(outcome.out, ContainsSubstring("1\n"));
  CHECK_THAT(outcome.out, ContainsSubstring("inside\n"));
  CHECK_THAT(outcome.out, ContainsSubstring("0::/\n"));
  CHECK_THAT(outcome.out, ContainsSubstring("1:3:666\npts/ptmx\n"));
  CHECK_THAT(outcome.out, ContainsSubstring("urandom\n"));
  CHECK_THAT(outcome.out, ContainsSubstring("mqueue /dev/mqueue mqueue rw,nosuid,nodev,noexec"));
  CHECK_THAT(outcome.out, ContainsSubstring("sysfs /sys sysfs ro,nosuid,nodev,noexec"));
  CHECK_THAT(outcome.out, ContainsSubstring("cgroup /sys/fs/cgroup cgroup2 ro"));
  CHECK_THAT(outcome.out, !ContainsSubstring("/run/husk"));
}

TEST_CASE("agent: the process runs as the user, with the rights and limits asked for", "[vm]") {
  const Ended outcome = shell(
      "id; grep -E 'Cap|NoNewPrivs' /proc/self/status; ulimit -n; umask; pwd; env; "
      "echo again > /dev/stdout",
      [](husk::oci::Spec spec) {
        spec.process->user.uid = 1000;
        spec.process->user.gid = 1001;
        spec.process->user.additional_gids = {5, 6};
        spec.process->user.umask = 027;
        spec.process->cwd = "/made/here";
        spec.process->no_new_privileges = true;
        spec.process->rlimits = {{"RLIMIT_NOFILE", 123, 456}};
        spec.process->capabilities.emplace();
        spec.process->capabilities->bounding = {"CAP_CHOWN", "CAP_KILL", "CAP_INVENTED"};
        return spec;
      });
  CHECK_THAT(outcome.out, ContainsSubstring("uid=1000 gid=1001 groups=5,6"));
  CHECK_THAT(outcome.out, ContainsSubstring("CapEff:\t0000000000000000"));
  CHECK_THAT(outcome.out, ContainsSubstring("CapBnd:\t0000000000000021"));
  CHECK_THAT(outcome.out, ContainsSubstring("NoNewPrivs:\t1"));
  CHECK_THAT(outcome.out, ContainsSubstring("123\n0027\n/made/here\n"));
  CHECK_THAT(outcome.out, ContainsSubstring("HOME=/\n"));
  CHECK_THAT(outcome.out, ContainsSubstring("again\n"));
  CHECK(outcome.err == "");
}

TEST_CASE("agent: masked and read-only paths and a read-only root hold", "[vm]") {
  const Ended outcome = shell(
      "wc -c < /proc/kallsyms; ls /proc/irq /proc/bus | grep -v /; echo 1 > "
      "/proc/sys/vm/panic_on_oom || echo refused; "
      "touch /file || echo read-only; touch /dev/file || echo sealed",
      [](husk::oci::Spec spec) {
        spec.linux_.masked_paths = {"/proc/kallsyms", "/proc/irq", "/proc/not/there", "/proc/bus"};
        spec.linux_.readonly_paths = {"/proc/sys"};
        spec.root->readonly = true;
        spec.mounts[1].options.push_back("ro");
        spec.process->capabilities.emplace();
        return spec;
      });
  CHECK(outcome.out == "0\n\nrefused\nread-only\nsealed\n");
}

TEST_CASE("agent: seccomp's filter is in force", "[vm]") {
  const Ended outcome = shell("mkdir /tmp/x || echo refused; true", [](husk::oci::Spec spec) {
    spec.linux_.seccomp.emplace();
    spec.linux_.seccomp->default_action = "SCMP_ACT_ALLOW";
    spec.linux_.seccomp->architectures = {"SCMP_ARCH_X86_64", "SCMP_ARCH_X86"};
    spec.linux_.seccomp->syscalls = {
        {{"mkdir", "mkdirat", "no_such_call"}, "SCMP_ACT_ERRNO", 1, {}}};
    return spec;
  });
  CHECK(outcome.out == "refused\n");
  CHECK_THAT(outcome.err, ContainsSubstring("Operation not permitted"));
}

TEST_CASE("agent: a user namespace maps the container's root away", "[vm]") {
  const Ended outcome = shell("id -u; cat /proc/self/uid_map; ls /dev/null; mount | grep -c sysfs",
                              [](husk::oci::Spec spec) {
                                spec.linux_.namespaces.push_back({"user", std::nullopt});
                                spec.linux_.uid_mappings = {{0, 100000, 65536}};
                                spec.linux_.gid_mappings = {{0, 100000, 65536}};
                                std::filesystem::path rootfs = spec.root->path;
                                return spec;
                              });
  CHECK(outcome.err == "");
  CHECK_THAT(outcome.out, ContainsSubstring("0\n"));
  CHECK_THAT(outcome.out, ContainsSubstring("100000"));
}

TEST_CASE("agent: a command that cannot be run fails in create with runc's words", "[vm]") {
  const std::string prefix = "unable to start container process: exec: ";
  const auto error_for = [](const char* command) {
    const std::string id = new_id();
    std::ofstream(guest().share() / id / "rootfs/data") << "text";
    return create_error(make_spec(id, {command}), id);
  };
  CHECK(error_for("nothing") == prefix + "\"nothing\": executable file not found in $PATH");
  CHECK(error_for("/no/thing") ==
        prefix + "\"/no/thing\": stat /no/thing: no such file or directory");
  CHECK(error_for("/data") == prefix + "\"/data\": permission denied");
  CHECK(error_for("/bin") == prefix + "\"/bin\": is a directory");
}

TEST_CASE("agent: a file that is no program fails in start", "[vm]") {
  const std::string id = new_id();
  const auto file = guest().share() / id / "rootfs/garbage";
  std::ofstream(file) << "\x01\x02 no program";
  std::filesystem::permissions(file, std::filesystem::perms::all);
  Running container(id, make_spec(id, {"/garbage"}));
  container.own();
  CHECK_THROWS_WITH(container.start(), "exec /garbage: exec format error");
  CHECK(container.wait_exit() == 127);
  client().call(DeleteContainer{id}, 20s);
}

TEST_CASE("agent: ids are unique, unknown ones and wrong states are refused", "[vm]") {
  const std::string id = new_id();
  CHECK_THROWS_WITH(client().call(StartProcess{{"unknown", {}}}, 60s), "container does not exist");
  Running container(id, make_spec(id, {"sleep", "1000"}));
  CHECK(create_error(make_spec(id, {"true"}), id) == "container with given ID already exists");
  container.own();
  container.start();
  CHECK_THROWS_WITH(container.start(), "cannot start an already running container");
  CHECK_THROWS_WITH(client().call(DeleteContainer{id}, 20s),
                    ContainsSubstring("that is not stopped"));
  client().call(SignalProcess{{id, {}}, SIGKILL, false}, 20s);
  CHECK(container.wait_exit() == 128 + SIGKILL);
  CHECK_THROWS_WITH(client().call(SignalProcess{{id, {}}, SIGTERM, false}, 20s),
                    "container not running");
  CHECK_THROWS_WITH(client().call(StartProcess{{id, {}}}, 60s),
                    "cannot start a container that has stopped");
  client().call(DeleteContainer{id}, 20s);
  CHECK_THROWS_WITH(client().call(DeleteContainer{id}, 20s), "container does not exist");
}

TEST_CASE("agent: more callers at once than there is room for wait their turn", "[vm]") {
  std::vector<UniqueFd> callers;
  for (int i = 0; i < 40; ++i) {
    callers.push_back(connect_guest(guest().address(), control_port, 20s));
  }
  const Hello hello{own_protocols, "test", guest().access().secret};
  for (const UniqueFd& caller : callers) {
    write_frame(caller.get(), encode(make_request(1, hello)));
    CHECK(read_frame(caller.get()));
  }
}

TEST_CASE("agent: SIGTERM ends a container that was never started", "[vm]") {
  const std::string id = new_id();
  Running container(id, make_spec(id, {"true"}));
  container.own();
  client().call(SignalProcess{{id, {}}, SIGTERM, false}, 20s);
  CHECK(container.wait_exit() == 128 + SIGTERM);
  client().call(DeleteContainer{id}, 20s);
}

TEST_CASE("agent: all processes of a container get a signal that is for all", "[vm]") {
  const std::string id = new_id();
  Running container(id, make_spec(id, {"sh", "-c",
                                       "trap 'echo got' USR1; "
                                       "(trap 'echo child; exit' USR1; "
                                       "echo ready; while true; do sleep 0.1; done) & child=$!; "
                                       "while kill -0 $child; do sleep 0.1; done; exit 5"}));
  container.own();
  container.start();
  // Both have their traps by then, and the first, with which all end, waits for the other. (Not by
  // wait, which busybox's sh now and then does not leave when a signal came meanwhile.)
  REQUIRE(container.read_line() == "ready");
  client().call(SignalProcess{{id, {}}, SIGUSR1, true}, 20s);
  const Ended outcome = container.finish();
  CHECK(outcome.status == 5);
  CHECK_THAT(outcome.out, ContainsSubstring("got"));
  CHECK_THAT(outcome.out, ContainsSubstring("child"));
  client().call(DeleteContainer{id}, 20s);
}

TEST_CASE("agent: a container dies with the connection that owns it", "[vm]") {
  const std::string id = new_id();
  Running container(id, make_spec(id, {"sleep", "1000"}));
  container.own();
  container.start();
  container.drop_connection();
  for (int i = 0; i < 200; ++i) {
    try {
      client().call(DeleteContainer{id}, 20s);
      SUCCEED();
      return;
    } catch (const husk::Error&) {
      std::this_thread::sleep_for(50ms);
    }
  }
  FAIL("it still runs");
}

TEST_CASE("agent: links in the image lead nowhere outside of it", "[vm]") {
  const std::string id = new_id();
  const auto rootfs = guest().share() / id / "rootfs";
  std::filesystem::create_symlink("../../../../..", rootfs / "up");
  std::filesystem::create_symlink("/run/husk/shared", rootfs / "abs");
  std::filesystem::create_directories(rootfs / "run/husk/shared");
  std::filesystem::create_directories(guest().share() / id / "mounts/0");
  husk::oci::Spec spec = make_spec(id, {"sh", "-c", "ls -d /escaped /run/husk/shared/inner"});
  spec.mounts.push_back(mount("tmpfs", "/up/escaped", {}));
  husk::oci::Mount bind;
  bind.type = "bind";
  bind.source = std::string(share_mount_point) + "/" + id + "/mounts/0";
  bind.destination = "/abs/inner";
  bind.options = {"rbind"};
  spec.mounts.push_back(bind);
  Running container(id, spec);
  container.own();
  container.start();
  const Ended outcome = container.finish();
  CHECK(outcome.out == "/escaped\n/run/husk/shared/inner\n");
  CHECK_FALSE(std::filesystem::exists(guest().share() / "inner"));
  client().call(DeleteContainer{id}, 20s);
}

TEST_CASE("agent: proc on a link is refused", "[vm]") {
  const std::string id = new_id();
  const auto rootfs = guest().share() / id / "rootfs";
  std::filesystem::remove(rootfs / "proc");
  std::filesystem::create_symlink("tmp", rootfs / "proc");
  CHECK_THAT(create_error(make_spec(id, {"true"}), id),
             ContainsSubstring("must be mounted on ordinary directory"));
}

TEST_CASE("agent: wrong tokens, garbage and oversized frames hurt only who sends them", "[vm]") {
  const std::string id = new_id();
  const CreateContainer request{id, make_spec(id, {"true"}),
                                Pipes<std::string>{{}, std::string(32, 'a'), {}}};
  CHECK_THROWS_WITH(client().call(request, 20s), ContainsSubstring("token"));

  const auto is_closed_after = [](const std::string& bytes) {
    const UniqueFd socket = connect_guest(guest().address(), control_port, 10s);
    husk::write_all(socket.get(), bytes);
    struct pollfd ready {
      socket.get(), POLLIN, 0
    };
    char byte = 0;
    return ::poll(&ready, 1, 10000) == 1 && ::read(socket.get(), &byte, 1) <= 0;
  };
  CHECK(is_closed_after(std::string("\xff\xff\xff\xff", 4)));
  CHECK(is_closed_after(make_frame("{not json")));
  CHECK(is_closed_after(make_frame(std::string(4000, '['))));
  const UniqueFd bad_stream = connect_guest(guest().address(), stream_port, 10s);
  husk::write_all(bad_stream.get(), std::string(stream_header_start) + std::string(66, '.') + "\n");
  char byte = 0;
  CHECK(::read(bad_stream.get(), &byte, 1) <= 0);
  CHECK_THROWS_WITH(client().call(StartProcess{{"unknown", {}}}, 60s), "container does not exist");
}

TEST_CASE("agent: many connections are bounded, and it answers afterwards", "[vm]") {
  {
    std::vector<UniqueFd> connections;
    for (int i = 0; i < 150; ++i) {
      try {
        connections.push_back(connect_guest(guest().address(), control_port, 5s));
      } catch (const husk::Error&) {
        break;
      }
    }
    CHECK(connections.size() > 8);
  }
  std::this_thread::sleep_for(500ms);
  CHECK_THROWS_WITH(client().call(StartProcess{{"unknown", {}}}, 60s), "container does not exist");
  const Ended outcome = shell("echo alive");
  CHECK(outcome.out == "alive\n");
}

TEST_CASE("agent: nothing of ended containers is left in the guest", "[vm]") {
  const auto look = [] {
    // Without a pid namespace and with ptrace rights the agent itself can be looked at.
    return shell(
               "echo fds $(ls /proc/1/fd | wc -l); echo cgroups $(ls -d "
               "/proc/1/root/sys/fs/cgroup/husk/test-* | wc -l); ps | grep -c Z",
               [](husk::oci::Spec spec) {
                 std::erase_if(spec.linux_.namespaces,
                               [](const husk::oci::Namespace& ns) { return ns.type == "pid"; });
                 spec.process->capabilities.emplace();
                 auto& capabilities = *spec.process->capabilities;
                 capabilities.bounding = {"CAP_SYS_PTRACE"};
                 capabilities.effective = capabilities.permitted = capabilities.bounding;
                 return spec;
               })
        .out;
  };
  // What the tests before have left is on its way out.
  std::string before = look();
  for (std::string again; (again = look()) != before;) before = again;
  CHECK_THAT(before, ContainsSubstring("cgroups 1\n"));  // its own
  for (int i = 0; i < 8; ++i) {
    shell("true");
    const std::string id = new_id();
    create_error(make_spec(id, {"/no/such"}), id);
  }
  CHECK(look() == before);
}

TEST_CASE("agent: containers together cannot use up the guest's memory or its tasks", "[vm]") {
  const Ended limits = shell(
      "cd /proc/1/root/sys/fs/cgroup/husk && cat memory.max pids.max", [](husk::oci::Spec spec) {
        std::erase_if(spec.linux_.namespaces,
                      [](const husk::oci::Namespace& ns) { return ns.type == "pid"; });
        spec.process->capabilities.emplace();
        auto& capabilities = *spec.process->capabilities;
        capabilities.bounding = {"CAP_SYS_PTRACE"};
        capabilities.effective = capabilities.permitted = capabilities.bounding;
        return spec;
      });
  CHECK_THAT(limits.out, !ContainsSubstring("max"));
  CHECK(std::stoull(limits.out) < (512ull << 20));
  // A tmpfs that is larger than the guest: the kill is the cgroup's, and the agent serves the next one.
  const Ended filler = shell("dd if=/dev/zero of=/tmp/fill bs=1048576 count=1000; echo $?",
                             [](husk::oci::Spec spec) {
                               spec.mounts.push_back(mount("tmpfs", "/tmp", {"size=1000m"}));
                               return spec;
                             });
  CHECK(filler.out != "0\n");
  CHECK(filler.kills >= 1);  // told to the owner of the first process, which goes on
  CHECK_THAT(guest().console(), ContainsSubstring("Memory cgroup out of memory"));
  CHECK_THAT(guest().console(), !ContainsSubstring("Out of memory: Killed"));
  CHECK(shell("echo served").out == "served\n");
}

TEST_CASE("agent: the guest powers off when the last connection closes", "[vm]") {
  husk::test::VmGuest own_guest;
  {
    AgentClient connection(own_guest.access(), 20s, ErrorWords::of_the_agent);
    CHECK_FALSE(own_guest.powers_off_within(500ms));
  }
  CHECK(own_guest.powers_off_within(10s));
}

TEST_CASE("agent: a VM that is no spare one cannot be claimed", "[vm]") {
  CHECK_THROWS_WITH(client().call(ClaimVm{std::string(32, '0'), "entropy"}, 20s),
                    ContainsSubstring("is not a spare one"));
  client().call(ReadClock{}, 20s);  // with the old secret
}
