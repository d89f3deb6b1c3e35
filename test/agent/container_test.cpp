// SPDX-License-Identifier: Apache-2.0
// Containers made for real by the agent's code, on this host instead of in a guest.
#include "agent/container.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <fstream>

#include "lib/base/files.hpp"
#include "lib/base/random_id.hpp"

using namespace husk::agent;
using Catch::Matchers::ContainsSubstring;
using husk::UniqueFd;
using namespace std::chrono_literals;
namespace fs = std::filesystem;

namespace {

/// Where cgroup version 2 is on this host; empty if it is nowhere.
fs::path cgroup2() {
  for (const char* path : {"/sys/fs/cgroup", "/sys/fs/cgroup/unified"}) {
    if (fs::exists(fs::path(path) / "cgroup.procs") &&
        fs::exists(fs::path(path) / "cgroup.controllers"))
      return path;
  }
  return {};
}

std::string skip_reason() {
  if (::geteuid() != 0) return "needs root";
  if (cgroup2().empty()) return "needs cgroup version 2";
  if (!fs::exists("/bin/busybox")) return "needs busybox-static";
  return {};
}

struct Bench {
  EventLoop loop;
  fs::path rootfs, cgroups = cgroup2() / ("husk-test-" + husk::random_hex(4));
  std::optional<Container> container;
  std::optional<husk::Error> error;
  bool created = false, started = false, stopped = false;
  UniqueFd out;

  Bench() {
    std::string pattern = "/tmp/husk-container-XXXXXX";
    REQUIRE(::mkdtemp(pattern.data()) != nullptr);
    rootfs = pattern;
    fs::create_directories(rootfs / "bin");
    fs::copy_file("/bin/busybox", rootfs / "bin/busybox");
    fs::create_symlink("busybox", rootfs / "bin/sh");
    fs::create_directory(cgroups);
  }
  Bench(const Bench&) = delete;
  Bench& operator=(const Bench&) = delete;
  ~Bench() {
    container.reset();
    fs::remove(cgroups);
    fs::remove_all(rootfs);
  }

  husk::oci::Spec spec(const std::string& script) const {
    husk::oci::Spec made;
    made.root.emplace();
    made.root->path = rootfs;
    made.process.emplace();
    made.process->args = {"/bin/sh", "-c", script};
    made.process->cwd = "/";
    made.process->env = {"PATH=/bin"};
    for (const char* type : {"pid", "mount", "ipc", "uts"})
      made.linux_.namespaces.push_back({type, {}});
    husk::oci::Mount dev;
    dev.destination = "/dev";
    dev.type = "tmpfs";
    dev.options = {"mode=755"};
    made.mounts.push_back(dev);
    return made;
  }

  void create(husk::oci::Spec made) {
    std::array<int, 2> sockets{};
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets.data()) == 0);
    out.reset(sockets[0]);
    ContainerSetup setup{"one", std::move(made), {}, UniqueFd{sockets[1]}, {}, cgroups};
    container.emplace(
        loop, std::move(setup),
        [this](const std::optional<husk::Error>& failure) {
          created = true;
          error = failure;
        },
        [this](Container&) { stopped = true; });
    run_until([this] { return created; });
  }
  void start() {
    container->start([this](const std::optional<husk::Error>& failure) {
      started = true;
      error = failure;
    });
    run_until([this] { return started; });
  }
  /// The loop, with the part of the agent that collects children.
  void run_until(const std::function<bool()>& reached) {
    for (int i = 0; i < 3000 && !reached(); ++i) {
      loop.run_once(10ms);
      int status = 0;
      const pid_t pid = container->pid();
      if (pid > 0 && ::waitpid(pid, &status, WNOHANG) == pid) container->handle_exit(status);
    }
    REQUIRE(reached());
  }
  std::string finish() {
    run_until([this] { return stopped; });
    return husk::read_all(out.get(), 1u << 20, "output");
  }
};

}  // namespace

#define SKIP_UNLESS_POSSIBLE() \
  if (const std::string reason = skip_reason(); !reason.empty()) SKIP(reason)

TEST_CASE("container: goes through its states and leaves no cgroup", "[root]") {
  SKIP_UNLESS_POSSIBLE();
  Bench bench;
  bench.create(bench.spec("echo $$; exit 7"));
  REQUIRE_FALSE(bench.error);
  CHECK(bench.container->state() == Container::State::created);
  CHECK(fs::exists(bench.cgroups / "one"));
  bench.start();
  CHECK(bench.finish() == "1\n");
  CHECK(bench.container->status() == 7);
  CHECK(bench.container->state() == Container::State::stopped);
  CHECK_FALSE(fs::exists(bench.cgroups / "one"));
  CHECK_THROWS_AS(bench.container->signal(SIGTERM, false), husk::Error);
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

TEST_CASE("container: terminals are refused before anything is made", "[root]") {
  SKIP_UNLESS_POSSIBLE();
  Bench bench;
  husk::oci::Spec spec = bench.spec("true");
  spec.process->terminal = true;
  ContainerSetup setup{"one", spec, {}, {}, {}, bench.cgroups};
  CHECK_THROWS_WITH(Container(bench.loop, std::move(setup), nullptr, nullptr),
                    ContainsSubstring("process.terminal"));
  CHECK_FALSE(fs::exists(bench.cgroups / "one"));
}
