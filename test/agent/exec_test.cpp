// SPDX-License-Identifier: Apache-2.0
// Processes that join a container, made for real by the agent's code on this host.
#include <signal.h>
#include <sys/wait.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <sstream>

#include "test/agent/container_bench.hpp"

using namespace husk::agent;
using Catch::Matchers::ContainsSubstring;
using husk::test::Bench;
namespace fs = std::filesystem;

namespace {

/// A container that runs until it is killed.
struct Running : Bench {
  explicit Running(void (*adjust)(husk::oci::Spec&) = nullptr) {
    husk::oci::Spec made = spec("while :; do /bin/busybox sleep 1; done");
    fs::create_directory(rootfs / "proc");
    add_mount(made, "proc", "/proc");
    add_mount(made, "devpts", "/dev/pts");
    made.mounts.back().options = {"newinstance", "ptmxmode=0666"};
    if (adjust != nullptr) adjust(made);
    create(std::move(made));
    REQUIRE((error ? error->what() : std::string("created")) == "created");
    Bench::start();
    REQUIRE_FALSE(error);
  }
  static void add_mount(husk::oci::Spec& spec, const char* type, const char* destination) {
    husk::oci::Mount mount;
    mount.type = type;
    mount.destination = destination;
    spec.mounts.push_back(mount);
  }
  static husk::oci::Process shell(const std::string& script) {
    husk::oci::Process process;
    process.args = {"/bin/sh", "-c", script};
    process.cwd = "/";
    process.env = {"PATH=/bin"};
    return process;
  }
  /// What the script says.
  std::string run(const std::string& script) { return run(shell(script)); }
  std::string run(husk::oci::Process process) {
    exec("p1", std::move(process));
    REQUIRE((error ? error->what() : std::string("created")) == "created");
    container->process("p1").own(7);
    Bench::start("p1");
    return read_to_end();
  }
  std::string first_link(const std::string& name) const {
    return fs::read_symlink("/proc/" + std::to_string(container->first().pid()) + "/" + name);
  }
};

}  // namespace

TEST_CASE("exec: is in every namespace and the cgroup of its container", "[root]") {
  SKIP_UNLESS_POSSIBLE();
  Running bench;
  std::ostringstream expected;
  for (const char* name : {"pid", "mnt", "ipc", "uts", "cgroup"})
    expected << bench.first_link(std::string("ns/") + name) << "\n";
  CHECK(
      bench.run("for n in pid mnt ipc uts cgroup; do /bin/busybox readlink /proc/self/ns/$n; done; "
                "/bin/busybox grep ^0:: /proc/self/cgroup; test -e /proc/1/root/bin/busybox && "
                "echo same root; exit 6") == expected.str() + "0::/\nsame root\n");
  bench.run_until([&] { return !bench.told.empty(); });
  CHECK(bench.told[0].first == 7);
  CHECK(bench.told[0].second.process == husk::guestcomm::ProcessRef{"one", "p1"});
  CHECK(bench.told[0].second.status == 6);
}

TEST_CASE("exec: has the session keyring of its container", "[root]") {
  SKIP_UNLESS_POSSIBLE();
  void (*adjust)(husk::oci::Spec&) = nullptr;
  std::uint32_t user = 0;
  SECTION("as root") {}
  SECTION("as another user") {
    adjust = [](husk::oci::Spec& spec) { spec.process->user.uid = 1000; };
    user = 1000;
  }
  Running bench(adjust);
  husk::oci::Process process = Running::shell(
      "/bin/busybox grep -oE '_ses[.]one[.][0-9a-f]{32}: .*' /proc/keys | "
      "/bin/busybox sed 's/[0-9a-f]*:/SECRET:/'");
  process.user.uid = user;
  // One line: a keyring of the exec's own would have the same name.
  CHECK(bench.run(process) == "_ses.one.SECRET: empty\n");
}

TEST_CASE("exec: a variable that is given again has the last value", "[root]") {
  SKIP_UNLESS_POSSIBLE();
  Running bench;
  husk::oci::Process process = Running::shell("");
  process.args = {"busybox", "cat", "/proc/self/environ"};
  process.env = {"PATH=/nowhere", "MODE=prod", "HOME=/a", "PATH=/bin", "MODE=debug", "HOME=/b"};
  using namespace std::string_literals;
  CHECK(bench.run(process) == "PATH=/bin\0MODE=debug\0HOME=/b\0"s);
}

TEST_CASE("exec: has the container's priorities unless it is given others", "[root]") {
  SKIP_UNLESS_POSSIBLE();
  Running bench([](husk::oci::Spec& spec) {
    spec.process->scheduler.emplace().policy = "SCHED_BATCH";
    spec.process->io_priority = husk::oci::IoPriority{"IOPRIO_CLASS_BE", 6};
    spec.process->oom_score_adj = 77;
  });
  // Field 41 is the scheduling policy, by number (proc(5)).
  husk::oci::Process process = Running::shell(
      "/bin/busybox cut -d' ' -f41 /proc/self/stat; /bin/busybox ionice -p $$; "
      "/bin/busybox cat /proc/self/oom_score_adj");
  SECTION("as the container") { CHECK(bench.run(process) == "3\nbest-effort: prio 6\n77\n"); }
  SECTION("its own") {
    process.scheduler.emplace().policy = "SCHED_OTHER";
    process.io_priority = husk::oci::IoPriority{"IOPRIO_CLASS_BE", 5};
    process.oom_score_adj = 78;
    CHECK(bench.run(process) == "0\nbest-effort: prio 5\n78\n");
  }
}

TEST_CASE("exec: has none of the agent's descriptors and shows no agent to the container",
          "[root]") {
  SKIP_UNLESS_POSSIBLE();
  Running bench;
  bench.exec("p1", Running::shell("true"));
  REQUIRE_FALSE(bench.error);
  // Until it is started it waits as the agent's code: nobody in the container may look into it.
  const std::string process = "/proc/" + std::to_string(bench.container->process("p1").pid());
  std::size_t open = 0;
  for (const auto& entry : fs::directory_iterator(process + "/fd")) {
    CAPTURE(fs::read_symlink(entry));
    ++open;
  }
  CHECK(open == 6);  // 0-2, orders, report, and the container's first process
  bench.container->process("p1").own(7);
  bench.start("p1");
  bench.run_until([&] { return !bench.told.empty(); });
  husk::oci::Process looker =
      Running::shell("for p in /proc/[0-9]*; do /bin/busybox readlink $p/exe || echo hidden; done");
  looker.capabilities.emplace();
  bench.exec("p2", Running::shell("true"));  // waits while the other looks
  bench.exec("p3", looker);
  bench.container->process("p3").own(7);
  bench.start("p3");
  const std::string seen = bench.read_to_end();
  CHECK_THAT(seen, ContainsSubstring("/bin/busybox\n"));
  CHECK_THAT(seen, ContainsSubstring("hidden\n"));
  CHECK_THAT(seen, !ContainsSubstring("test_agent"));
}

TEST_CASE("exec: a terminal is the process's own, with its size, and hangs up", "[root]") {
  SKIP_UNLESS_POSSIBLE();
  Running bench;
  std::string script = "/bin/busybox stty size; /bin/busybox tty; read line; echo got $line";
  int status = 0;
  SECTION("what is typed arrives, and what is said is not lost") {}
  SECTION("a hang-up by the host is one") {
    script = "trap 'exit 9' HUP; /bin/busybox stty size; while :; do /bin/busybox sleep 1; done";
    status = 9;
  }
  bench.exec("p1", Running::shell(script), husk::guestcomm::WindowSize{33, 99});
  REQUIRE((bench.error ? bench.error->what() : std::string("created")) == "created");
  bench.container->process("p1").own(7);
  bench.start("p1");
  std::string text;
  bench.run_until([&] {
    std::array<char, 256> chunk{};
    const ssize_t count = ::recv(bench.out.get(), chunk.data(), chunk.size(), MSG_DONTWAIT);
    if (count > 0) text.append(chunk.data(), static_cast<std::size_t>(count));
    return text.find(status == 0 ? "/dev/pts/0\r\n" : "33 99\r\n") != std::string::npos;
  });
  if (status == 0) {
    husk::write_all(bench.out.get(), "hello\r");
    text += bench.read_to_end();
    CHECK(text == "33 99\r\n/dev/pts/0\r\nhello\r\ngot hello\r\n");
  } else {
    ::shutdown(bench.out.get(), SHUT_WR);
  }
  bench.run_until([&] { return !bench.told.empty(); });
  CHECK(bench.told[0].second.status == status);
}

TEST_CASE("exec: a terminal takes a new size, pipes do not", "[root]") {
  SKIP_UNLESS_POSSIBLE();
  Running bench;
  bench.exec("p1", Running::shell("/bin/busybox stty size"), husk::guestcomm::WindowSize{});
  bench.container->process("p1").own(7);
  bench.container->process("p1").resize({50, 120});
  bench.start("p1");
  CHECK(bench.read_to_end() == "50 120\r\n");
  CHECK_THROWS_WITH(bench.container->first().resize({1, 1}), ContainsSubstring("no terminal"));
}

TEST_CASE("container: a terminal is its /dev/console too", "[root]") {
  SKIP_UNLESS_POSSIBLE();
  Bench bench;
  husk::oci::Spec spec = bench.spec("/bin/busybox stty size </dev/console; echo hi >/dev/console");
  Running::add_mount(spec, "devpts", "/dev/pts");
  spec.mounts.back().options = {"newinstance", "ptmxmode=0666"};
  std::array<int, 2> sockets{};
  REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets.data()) == 0);
  bench.out.reset(sockets[0]);
  bench.create_with(std::move(spec), husk::guestcomm::Terminal<husk::UniqueFd>{
                                         husk::UniqueFd{sockets[1]}, {10, 20}});
  REQUIRE((bench.error ? bench.error->what() : std::string("created")) == "created");
  bench.start();
  CHECK(bench.read_to_end() == "10 20\r\nhi\r\n");
}

TEST_CASE("exec: what cannot be executed is said in runc's words, and nothing stays", "[root]") {
  SKIP_UNLESS_POSSIBLE();
  Running bench;
  husk::oci::Process process = Running::shell("");
  process.args = {"nosuch"};
  bench.exec("p1", process);
  REQUIRE(bench.error);
  CHECK(std::string(bench.error->what()) ==
        "unable to start container process: exec: \"nosuch\": executable file not found in $PATH");
  bench.loop.run_once(std::chrono::milliseconds{10});
  CHECK_THROWS_WITH(bench.container->process("p1"), "process does not exist");
}

TEST_CASE("exec: ends with the connection that had it made, or that owns it", "[root]") {
  SKIP_UNLESS_POSSIBLE();
  Running bench;
  bench.exec("p1", Running::shell("while :; do /bin/busybox sleep 1; done"));
  Process& process = bench.container->process("p1");
  process.lend(7);
  bool is_owned = false;
  SECTION("made") {}
  SECTION("owned") {
    is_owned = true;
    process.own(8);
    bench.container->connection_closed(7);
    bench.start("p1");
    CHECK(process.pid() > 0);
  }
  bench.container->connection_closed(is_owned ? 8 : 7);
  bool is_forgotten = false;
  bench.run_until([&] {
    try {
      bench.container->process("p1");
    } catch (const husk::Error&) {
      is_forgotten = true;
    }
    return is_forgotten;
  });
  CHECK(bench.container->first().state() == Process::State::running);
  CHECK(bench.told.empty());
}

TEST_CASE("exec: is in the user namespace of its container", "[root]") {
  SKIP_UNLESS_POSSIBLE();
  Running bench([](husk::oci::Spec& spec) {
    spec.linux_.namespaces.push_back({"user", std::nullopt});
    spec.linux_.uid_mappings = {{0, 0, 65536}};  // the rootfs is root's
    spec.linux_.gid_mappings = spec.linux_.uid_mappings;
  });
  const std::string own = fs::read_symlink("/proc/self/ns/user");
  CHECK(bench.first_link("ns/user") != own);
  CHECK(bench.run("/bin/busybox readlink /proc/self/ns/user; /bin/busybox id -u") ==
        bench.first_link("ns/user") + "\n0\n");
}

TEST_CASE("exec: ends with its container, and its owner is told", "[root]") {
  SKIP_UNLESS_POSSIBLE();
  void (*adjust)(husk::oci::Spec&) = nullptr;
  SECTION("with a pid namespace") {}
  SECTION("without one") {
    adjust = [](husk::oci::Spec& spec) {
      std::erase_if(spec.linux_.namespaces, [](const auto& ns) { return ns.type == "pid"; });
    };
  }
  Running bench(adjust);
  bench.exec("p1", Running::shell("while :; do /bin/busybox sleep 1; done"));
  bench.container->process("p1").own(7);
  bench.start("p1");
  bench.container->signal({{"one", {}}, SIGKILL, false});
  bench.run_until([&] { return bench.stopped; });
  REQUIRE(bench.told.size() == 1);
  CHECK(bench.told[0].second.status == 128 + SIGKILL);
  CHECK_THROWS_WITH(bench.container->add_process("p2", {}, nullptr),
                    "cannot exec in a stopped container");
}

namespace {

constexpr const char* stopped_words = "cannot exec in a stopped container";

/// Kills the container's first process behind the agent's back, which reaps nothing until the loop runs.
void kill_first(Running& bench) { ::kill(bench.container->first().pid(), SIGKILL); }

void await_zombie(pid_t pid) {
  siginfo_t info{};
  REQUIRE(::waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOWAIT) == 0);
}

void drop_pid_namespace(husk::oci::Spec& spec) {
  std::erase_if(spec.linux_.namespaces, [](const auto& ns) { return ns.type == "pid"; });
}

using Adjust = void (*)(husk::oci::Spec&);
/// Makes the test case run once with each.
Adjust with_and_without_pid_namespace() {
  return GENERATE(Adjust{nullptr}, Adjust{drop_pid_namespace});
}

void start_waiting(Running& bench) {
  bench.exec("p1", Running::shell("while :; do /bin/busybox sleep 1; done"));
  REQUIRE_FALSE(bench.error);
  bench.container->process("p1").own(7);
}

}  // namespace

TEST_CASE("exec: into a container that has just ended is refused in runc's words", "[root]") {
  SKIP_UNLESS_POSSIBLE();
  Running bench(with_and_without_pid_namespace());
  const pid_t first = bench.container->first().pid();
  kill_first(bench);
  await_zombie(first);
  std::string text;
  try {
    bench.exec("p2", Running::shell("true"));
    if (bench.error) text = bench.error->what();
  } catch (const husk::Error& error) {
    text = error.what();
    CHECK(error.code() == husk::Errc::wrong_state);
  }
  CHECK(text == stopped_words);
  bench.run_until([&] { return bench.stopped; });
}

TEST_CASE("exec: into a container that is ending is refused in runc's words", "[root]") {
  SKIP_UNLESS_POSSIBLE();
  Running bench;
  start_waiting(bench);
  const pid_t joined = bench.container->process("p1").pid();
  kill_first(bench);
  // Until this zombie is reaped the first process waits for the others of its pid namespace in exit(2).
  await_zombie(joined);
  husk::agent::ExecSetup setup{Running::shell("true"), {}, {}};
  CHECK_THROWS_WITH(bench.container->add_process("p2", std::move(setup), nullptr), stopped_words);
  bench.run_until([&] { return bench.stopped; });
}

TEST_CASE("exec: a container that ends while a process joins it is a stopped one", "[root]") {
  SKIP_UNLESS_POSSIBLE();
  Running bench(with_and_without_pid_namespace());
  bool is_paused = false;
  bench.container->pause([&](const Outcome&) { is_paused = true; });  // what joins it waits
  bench.run_until([&] { return is_paused; });
  std::optional<husk::Error> answer;
  bench.container->add_process("p1", {Running::shell("true"), {}, {}}, [&](const Outcome& outcome) {
    if (const auto* error = std::get_if<husk::Error>(&outcome)) answer = *error;
  });
  kill_first(bench);
  bench.run_until([&] { return bench.stopped; });
  REQUIRE(answer);
  CHECK(std::string(answer->what()) == stopped_words);
  CHECK(answer->code() == husk::Errc::wrong_state);
}

TEST_CASE("exec: a container that ends before the start of the process is a stopped one",
          "[root]") {
  SKIP_UNLESS_POSSIBLE();
  ::signal(SIGPIPE, SIG_IGN);  // as the agent does
  Running bench;
  start_waiting(bench);
  const pid_t joined = bench.container->process("p1").pid();
  SECTION("the process is a zombie") {
    kill_first(bench);
    await_zombie(joined);
  }
  SECTION("the process is reaped") {
    kill_first(bench);
    bench.run_until([&] { return bench.stopped; });
  }
  CHECK_THROWS_WITH(bench.container->start("p1", nullptr), stopped_words);
  bench.run_until([&] { return bench.stopped; });
}

TEST_CASE("exec: a process that is killed before its start does not speak of the container",
          "[root]") {
  SKIP_UNLESS_POSSIBLE();
  ::signal(SIGPIPE, SIG_IGN);
  Running bench;
  start_waiting(bench);
  const pid_t joined = bench.container->process("p1").pid();
  ::kill(joined, SIGKILL);
  await_zombie(joined);
  CHECK_THROWS_WITH(bench.container->start("p1", nullptr),
                    "the process was killed before its program was started");
}

TEST_CASE("exec: a name is one process's, and a signal is for the one named", "[root]") {
  SKIP_UNLESS_POSSIBLE();
  Running bench;
  bench.exec("p1", Running::shell("trap 'exit 4' USR1; echo ready; "
                                  "while :; do /bin/busybox sleep 0.1; done"));
  CHECK_THROWS_WITH(bench.container->add_process("p1", {}, nullptr),
                    ContainsSubstring("already exists"));
  bench.container->process("p1").own(7);
  bench.start("p1");
  bench.run_until([&] {
    std::array<char, 6> ready{};
    return ::recv(bench.out.get(), ready.data(), ready.size(), MSG_DONTWAIT | MSG_PEEK) == 6;
  });
  bench.container->signal({{"one", "p1"}, SIGUSR1, false});
  bench.run_until([&] { return !bench.told.empty(); });
  CHECK(bench.told[0].second.status == 4);
  CHECK(bench.container->first().state() == Process::State::running);
  CHECK_THROWS_WITH(bench.container->signal({{"one", "p9"}, SIGUSR1, false}),
                    "process does not exist");
}

TEST_CASE("exec: a /dev/ptmx that the container put there is no terminal", "[root]") {
  SKIP_UNLESS_POSSIBLE();
  Running bench;
  CHECK(bench.run("/bin/busybox ln -sf null /dev/ptmx; echo done") == "done\n");
  bench.exec("p2", Running::shell("true"), husk::guestcomm::WindowSize{});
  REQUIRE(bench.error);
  CHECK_THAT(bench.error->what(),
             ContainsSubstring("/dev/ptmx is not the kernel's pseudoterminal device"));
}
