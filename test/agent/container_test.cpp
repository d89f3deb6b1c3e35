// SPDX-License-Identifier: Apache-2.0
// Containers made for real by the agent's code, on this host instead of in a guest.
#include "agent/container/container.hpp"

#include <signal.h>
#include <sys/stat.h>

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <fstream>

#include "lib/base/files.hpp"
#include "lib/base/random_id.hpp"
#include "test/agent/container_bench.hpp"

using namespace husk::agent;
using Catch::Matchers::ContainsSubstring;
using husk::test::Bench;
namespace fs = std::filesystem;

TEST_CASE("container: goes through its states and leaves no cgroup", "[root]") {
  SKIP_UNLESS_POSSIBLE();
  Bench bench;
  bench.create(bench.spec("echo $$; exit 7"));
  REQUIRE_FALSE(bench.error);
  CHECK(bench.container->first().state() == Process::State::created);
  CHECK(fs::exists(bench.cgroups / "one"));
  bench.start();
  CHECK(bench.finish() == "1\n");
  CHECK(bench.container->first().status() == 7);
  CHECK(bench.container->first().state() == Process::State::stopped);
  CHECK_FALSE(fs::exists(bench.cgroups / "one"));
  CHECK_THROWS_AS(bench.container->signal({{"one", {}}, SIGTERM, false}), husk::Error);
}

TEST_CASE("container: until its program starts it has no descriptor of the agent's", "[root]") {
  SKIP_UNLESS_POSSIBLE();
  Bench bench;
  bench.create(bench.spec("ls /proc/self/fd"));
  REQUIRE_FALSE(bench.error);
  // The loop's epoll, the bench's socket and our own are there to be inherited; left are the
  // standard streams, the order's end and the report's.
  std::vector<std::string> open;
  const std::string process = "/proc/" + std::to_string(bench.container->first().pid()) + "/fd";
  for (const auto& entry : fs::directory_iterator(process)) {
    open.push_back(fs::read_symlink(entry).string());
  }
  CAPTURE(open);
  CHECK(open.size() == 5);
  CHECK(std::count_if(open.begin(), open.end(),
                      [](const auto& name) { return name.starts_with("pipe:"); }) == 3);
  CHECK(std::count(open.begin(), open.end(), "/dev/null") == 2);
}

TEST_CASE("container: paused, nothing of it runs; resumed, it goes on", "[root]") {
  SKIP_UNLESS_POSSIBLE();
  Bench bench;
  bench.create(bench.spec("trap 'exit 7' TERM; while :; do echo x; /bin/busybox sleep 0.02; done"));
  bench.start();
  const auto pause = [&] {
    std::optional<Outcome> answer;
    bench.container->pause([&](const Outcome& outcome) { answer = outcome; });
    bench.run_until([&] { return answer.has_value(); });
    REQUIRE(answer);
    CHECK_FALSE(std::holds_alternative<husk::Error>(*answer));
  };
  /// How much comes until there is nothing for a tenth of a second, or plenty.
  const auto read_some = [&] {
    std::size_t bytes = 0;
    for (int quiet = 0; quiet < 10 && bytes < 1'000'000;) {
      std::array<char, 4096> chunk{};
      const ssize_t count = ::recv(bench.out.get(), chunk.data(), chunk.size(), MSG_DONTWAIT);
      quiet = count > 0 ? 0 : quiet + 1;
      bytes += count > 0 ? static_cast<std::size_t>(count) : 0;
      bench.loop.run_once(std::chrono::milliseconds{10});
    }
    return bytes;
  };
  bench.run_until([&] {  // the shell has set its trap: it ignored the signal before, as any pid 1
    char first = 0;
    return ::recv(bench.out.get(), &first, 1, MSG_DONTWAIT | MSG_PEEK) == 1;
  });
  pause();
  read_some();
  CHECK(read_some() == 0);
  bench.container->signal({{"one", {}}, SIGTERM, false});  // kept until it is resumed
  pause();                                                 // once more is fine
  CHECK(bench.container->first().state() == Process::State::running);
  bench.container->resume();
  bench.container->resume();
  bench.finish();
  CHECK(bench.container->first().status() == 7);
  CHECK_THROWS_AS(pause(), husk::Error);
  CHECK_THROWS_AS(bench.container->resume(), husk::Error);
}

TEST_CASE("container: who watches it is told of its end, once", "[root]") {
  SKIP_UNLESS_POSSIBLE();
  using Type = husk::guestcomm::ContainerEvent::Type;
  Bench bench;
  bench.create(bench.spec("while :; do /bin/busybox sleep 1; done"));
  for (const unsigned watcher : {5U, 5U, 6U, 7U}) bench.container->watch(watcher);
  bench.container->connection_closed(6);
  bench.start();
  bench.container->statistics();
  CHECK(bench.events.empty());
  bench.container->kill();
  bench.finish();
  CHECK(bench.events == std::vector<std::pair<husk::agent::ConnectionId, Type>>{
                            {5, Type::stopped}, {7, Type::stopped}});
  CHECK_THROWS_AS(bench.container->watch(5), husk::Error);
  CHECK_THROWS_AS(bench.container->statistics(), husk::Error);
}

TEST_CASE("container: a paused one can be killed", "[root]") {
  SKIP_UNLESS_POSSIBLE();
  Bench bench;
  bench.create(bench.spec("while :; do /bin/busybox sleep 1; done"));
  bench.start();
  std::optional<Outcome> paused;
  bench.container->pause([&](const Outcome& outcome) { paused = outcome; });
  bench.run_until([&] { return paused.has_value(); });
  CHECK_FALSE(std::holds_alternative<husk::Error>(*paused));
  bench.container->kill();
  bench.finish();
  CHECK(bench.container->first().status() == 128 + SIGKILL);
  CHECK_FALSE(fs::exists(bench.cgroups / "one"));
}

namespace {

/// It says one, two and three, and then does `more`.
void start_notifying(Bench& bench, const std::string& more) {
  // busybox has no program for it, but one that sends datagrams to /dev/log.
  husk::oci::Spec spec =
      bench.spec("for text in one two three; do busybox logger $text; done; " + more);
  spec.mounts.clear();
  fs::create_directory(bench.rootfs / "dev");
  husk::write_file_atomic(bench.rootfs / "dev/log", "", 0644);
  bench.notify_socket = "/dev/log";
  bench.create(std::move(spec));
  REQUIRE_FALSE(bench.error);
  bench.container->first().own(7);
  bench.start();
}

}  // namespace

TEST_CASE("container: what it says by sd_notify(3) before it ends is not lost", "[root]") {
  SKIP_UNLESS_POSSIBLE();
  Bench bench;
  start_notifying(bench, "exit 0");
  bench.finish();
  REQUIRE(bench.said.size() == 3);
  CHECK(bench.said[2].second.ends_with("three"));
}

TEST_CASE("container: what it says by sd_notify(3) goes to its owner", "[root]") {
  SKIP_UNLESS_POSSIBLE();
  Bench bench;
  start_notifying(bench, "busybox sleep 1000");
  bench.run_until([&] { return bench.said.size() == 3; });
  CHECK(bench.said[0].first == 7);
  CHECK(bench.said[0].second.ends_with("one"));
  CHECK(bench.said[2].second.ends_with("three"));
  bench.container->kill();
  bench.finish();
  CHECK(fs::file_size(bench.rootfs / "dev/log") == 0);  // the one there is the caller's still
}

TEST_CASE("container: processes left behind without a pid namespace die with the first", "[root]") {
  SKIP_UNLESS_POSSIBLE();
  Bench bench;
  husk::oci::Spec spec =
      bench.spec("/bin/busybox setsid /bin/busybox sleep 1000 & echo $!; exit 0");
  std::erase_if(spec.linux_.namespaces, [](const auto& ns) { return ns.type == "pid"; });
  bench.create(std::move(spec));
  bench.start();
  const std::string pid = bench.finish();
  CHECK_FALSE(fs::exists(bench.cgroups / "one"));
  CHECK_FALSE(fs::exists("/proc/" + pid.substr(0, pid.size() - 1) + "/cwd"));
}

TEST_CASE("container: a tmpfs over a link in the image stays inside", "[root]") {
  SKIP_UNLESS_POSSIBLE();
  Bench bench;
  const std::string marker = "husk-escape-" + husk::random_hex(4);
  fs::create_symlink("/tmp", bench.rootfs / "link");
  fs::create_directory(bench.rootfs / "tmp");
  husk::oci::Spec spec = bench.spec("echo $(/bin/busybox ls /tmp)");
  husk::oci::Mount mount;
  mount.destination = "/link/../link/" + marker;
  mount.type = "tmpfs";
  spec.mounts.push_back(mount);
  bench.create(std::move(spec));
  REQUIRE_FALSE(bench.error);
  bench.start();
  CHECK(bench.finish() == marker + "\n");
  CHECK_FALSE(fs::exists("/tmp/" + marker));
}

TEST_CASE("container: nothing is mounted on its root, by way of a link neither", "[root]") {
  SKIP_UNLESS_POSSIBLE();
  Bench bench;
  fs::create_symlink("/bin/..", bench.rootfs / "link");
  husk::oci::Mount mount;
  mount.destination = "/link";
  SECTION("tmpfs") { mount.type = "tmpfs"; }
  SECTION("bind") {
    mount.type = "bind";
    mount.source = "/bin";
  }
  SECTION("remount") { mount.options = {"remount", "ro"}; }
  husk::oci::Spec spec = bench.spec("true");
  spec.mounts.push_back(mount);
  bench.create(std::move(spec));
  REQUIRE(bench.error);
  CHECK_THAT(bench.error->what(), ContainsSubstring("mountpoint is on the top of rootfs"));
}

TEST_CASE("container: linux.devices win over the default devices, and /dev/core is there",
          "[root]") {
  SKIP_UNLESS_POSSIBLE();
  Bench bench;
  husk::oci::Spec spec = bench.spec(
      "/bin/busybox stat -c '%a %g' /dev/tty /dev/zero; /bin/busybox readlink /dev/core");
  husk::oci::Device tty;
  tty.type = "c";
  tty.path = "/dev/tty";
  tty.major = 5;
  tty.minor = 0;
  tty.file_mode = 0620;
  tty.gid = 5;
  spec.linux_.devices = {tty};
  bench.create(std::move(spec));
  REQUIRE_FALSE(bench.error);
  bench.start();
  const std::string core = fs::exists("/proc/kcore") ? "/proc/kcore\n" : "";
  CHECK(bench.finish() == "620 5\n666 0\n" + core);
}

TEST_CASE("container: a tmpfs has the mode of its mount point unless the options have one",
          "[root]") {
  SKIP_UNLESS_POSSIBLE();
  Bench bench;
  husk::oci::Spec spec = bench.spec("/bin/busybox stat -c %a /run /root /given /missing /dev");
  const auto add_tmpfs = [&](const char* destination, std::vector<std::string> options) {
    husk::oci::Mount mount;
    mount.destination = destination;
    mount.type = "tmpfs";
    mount.options = std::move(options);
    spec.mounts.push_back(mount);
  };
  for (const char* name : {"run", "root", "given", "dev"})
    fs::create_directory(bench.rootfs / name);
  fs::permissions(bench.rootfs / "run", fs::perms{0755});
  fs::permissions(bench.rootfs / "root", fs::perms{02710});
  add_tmpfs("/run", {"nosuid", "size=64k"});
  add_tmpfs("/root", {"ro"});
  add_tmpfs("/given", {"mode=0700"});
  add_tmpfs("/missing", {});
  bench.create(std::move(spec));
  REQUIRE_FALSE(bench.error);
  bench.start();
  CHECK(bench.finish() == "755\n2710\n700\n1777\n755\n");
}

TEST_CASE("container: proc and sysfs on a link are refused in runc's words", "[root]") {
  SKIP_UNLESS_POSSIBLE();
  Bench bench;
  fs::create_directory(bench.rootfs / "tmp");
  fs::create_symlink(GENERATE("tmp", "/not/there"), bench.rootfs / "link");
  husk::oci::Mount mount;
  mount.destination = GENERATE("/link", "/link/", "/link/.", "/tmp/../link//");
  mount.type = GENERATE("proc", "sysfs");
  husk::oci::Spec spec = bench.spec("true");
  spec.mounts.push_back(mount);
  bench.create(std::move(spec));
  REQUIRE(bench.error);
  CHECK_THAT(bench.error->what(), ContainsSubstring("filesystem \"" + *mount.type +
                                                    "\" must be mounted on ordinary directory"));
}

TEST_CASE("container: tmpcopyup keeps what the image had, links as links", "[root]") {
  SKIP_UNLESS_POSSIBLE();
  Bench bench;
  fs::create_directories(bench.rootfs / "data/sub");
  std::ofstream(bench.rootfs / "data/sub/file") << "kept\n";
  ::chmod((bench.rootfs / "data/sub/file").c_str(), 0640);
  fs::create_symlink("/etc/shadow", bench.rootfs / "data/link");
  husk::oci::Spec spec = bench.spec(
      "cd /data; /bin/busybox cat sub/file; /bin/busybox stat -c %a sub/file; "
      "/bin/busybox readlink link; echo new > sub/file");
  husk::oci::Mount mount;
  mount.destination = "/data";
  mount.type = "tmpfs";
  mount.options = {"tmpcopyup"};
  spec.mounts.push_back(mount);
  bench.create(std::move(spec));
  REQUIRE_FALSE(bench.error);
  bench.start();
  CHECK(bench.finish() == "kept\n640\n/etc/shadow\n");
  CHECK(husk::read_file(bench.rootfs / "data/sub/file", 100) == "kept\n");
}

TEST_CASE("container: sysctls may be written with slashes", "[root]") {
  SKIP_UNLESS_POSSIBLE();
  Bench bench;
  fs::create_directory(bench.rootfs / "proc");
  husk::oci::Spec spec =
      bench.spec("cd /proc/sys/kernel; /bin/busybox cat msgmax msgmnb shm_rmid_forced");
  husk::oci::Mount proc;
  proc.destination = "/proc";
  proc.type = "proc";
  spec.mounts.push_back(proc);
  spec.linux_.sysctl = {
      {"kernel.msgmax", "4321"}, {"kernel/msgmnb", "1234"}, {"kernel/shm_rmid_forced", "1"}};
  bench.create(std::move(spec));
  REQUIRE_FALSE(bench.error);
  bench.start();
  CHECK(bench.finish() == "4321\n1234\n1\n");
}

TEST_CASE("container: a step that fails is named, and nothing stays", "[root]") {
  SKIP_UNLESS_POSSIBLE();
  Bench bench;
  husk::oci::Spec spec = bench.spec("true");
  husk::oci::Mount mount;
  mount.destination = "/x";
  mount.type = "tmpfs";
  mount.options = {"size=bogus"};
  spec.mounts.push_back(mount);
  bench.create(std::move(spec));
  REQUIRE(bench.error);
  CHECK_THAT(bench.error->what(), ContainsSubstring("mount tmpfs at /x: mount option size=bogus"));
  CHECK(bench.stopped);
  CHECK_FALSE(fs::exists(bench.cgroups / "one"));
}

TEST_CASE("container: file systems that are not a container's are refused", "[root]") {
  SKIP_UNLESS_POSSIBLE();
  Bench bench;
  husk::oci::Spec spec = bench.spec("true");
  husk::oci::Mount mount;
  mount.destination = "/x";
  mount.type = "devtmpfs";
  spec.mounts.push_back(mount);
  bench.create(std::move(spec));
  REQUIRE(bench.error);
  CHECK_THAT(bench.error->what(), ContainsSubstring("devtmpfs is not supported"));
}

TEST_CASE("container: who owns its process is told of the end once, and is its only owner",
          "[root]") {
  SKIP_UNLESS_POSSIBLE();
  Bench bench;
  bench.create(bench.spec("exit 3"));
  REQUIRE_FALSE(bench.error);
  Process& first = bench.container->first();
  bool owner_was_late = false;
  SECTION("before the end") { first.own(7); }
  SECTION("after it") { owner_was_late = true; }
  bench.start();
  bench.finish();
  if (owner_was_late) first.own(7);
  first.own(7);
  CHECK_THROWS_WITH(first.own(8), ContainsSubstring("owned by another"));
  bench.run_until([&] { return !bench.told.empty(); });
  bench.loop.run_once(std::chrono::milliseconds{10});
  REQUIRE(bench.told.size() == 1);
  CHECK(bench.told[0].first == 7);
  CHECK(bench.told[0].second.process == husk::guestcomm::ProcessRef{"one", ""});
  CHECK(bench.told[0].second.status == 3);
}

TEST_CASE("container: ends with the connection that owns its first process", "[root]") {
  SKIP_UNLESS_POSSIBLE();
  Bench bench;
  bench.create(bench.spec("/bin/busybox sleep 1000"));
  bench.container->first().own(7);
  bench.start();
  bench.container->connection_closed(8);
  CHECK(bench.container->first().owner() == ConnectionId{7});
  bench.container->connection_closed(7);
  bench.finish();
  CHECK(bench.container->first().status() == 128 + SIGKILL);
  CHECK(bench.told.empty());
}

TEST_CASE("container: start of one that was killed and is not reaped yet", "[root]") {
  SKIP_UNLESS_POSSIBLE();
  Bench bench;
  bench.create(bench.spec("true"));
  REQUIRE_FALSE(bench.error);
  ::signal(SIGPIPE, SIG_IGN);  // as the agent
  const pid_t pid = bench.container->first().pid();
  ::kill(pid, SIGKILL);
  siginfo_t info{};
  REQUIRE(::waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOWAIT) == 0);
  CHECK_THROWS_WITH(bench.container->start({}, {}), "cannot start a container that has stopped");
  bench.finish();
}
