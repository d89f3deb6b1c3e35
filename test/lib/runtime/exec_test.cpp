// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <chrono>
#include <csignal>
#include <fstream>
#include <thread>

#include "lib/base/descriptors.hpp"
#include "lib/base/error.hpp"
#include "lib/base/files.hpp"
#include "lib/base/process.hpp"
#include "test/lib/runtime/husk_bench.hpp"

using namespace husk;
using namespace husk::test;
using namespace std::chrono_literals;
using Catch::Matchers::ContainsSubstring;

namespace {

using Lines = std::vector<std::string>;

runtime::ExecRequest exec_request(bool detached) {
  oci::Process process;
  process.args = {"look", "around"};
  process.cwd = "/";
  runtime::ExecRequest request{
      .id = "c1", .process = process, .pid_file = {}, .cgroup = {}, .streams = {}};
  request.streams.detached = detached;
  return request;
}

/// As a program of its own does it: joining a pid namespace is for good. The exit status, or 99
/// with what was thrown in the bench's "error".
int exec(HuskBench& bench, const runtime::ExecRequest& request) {
  const pid_t child = check_sys(::fork(), "fork husk exec");
  if (child == 0) {
    try {
      ::_exit(bench.runtime().exec(request));
    } catch (const std::exception& e) {
      std::ofstream(bench.path("error")) << e.what() << std::flush;
    }
    ::_exit(99);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

std::size_t shims_beside(pid_t first) {
  std::size_t count = 0;
  const std::string wanted =
      std::filesystem::read_symlink("/proc/" + std::to_string(first) + "/ns/pid");
  for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
    std::error_code gone;
    if (std::filesystem::read_symlink(entry.path() / "ns/pid", gone) == wanted) ++count;
  }
  return count - 1;
}

}  // namespace

TEST_CASE("exec: in the foreground it is the process's status", "[runtime][root]") {
  HuskBench bench;
  const pid_t first = bench.create().shim_pid;
  bench.runtime().start("c1");
  CHECK(exec(bench, exec_request(false)) == 42);
  CHECK(bench.journal() ==
        Lines{"create", "own", "start", "exec c1 look around", "own exec", "start exec"});
  CHECK(shims_beside(first) == 0);
  CHECK(bench.runtime().state("c1").status == "running");
  bench.runtime().remove("c1", true);
  CHECK(bench.left() == Lines{});
}

TEST_CASE("exec: detached it returns, with the shim's pid in the file", "[runtime][root]") {
  HuskBench bench;
  bench.create();
  runtime::ExecRequest request = exec_request(true);
  request.pid_file = bench.path("exec.pid");
  CHECK(exec(bench, request) == 0);
  CHECK(std::stol(bench.text_in("exec.pid")) > 1);
  bench.runtime().remove("c1", true);
  CHECK(bench.left() == Lines{});
}

TEST_CASE("exec: what the guest refuses is said, and leaves no shim and no pid file",
          "[runtime][root]") {
  HuskBench bench;
  for (const auto& [fault, text] :
       {std::pair{Fault::refuses_exec, "no such program in the image"},
        std::pair{Fault::refuses_exec_owner, "owner refused"},
        std::pair{Fault::refuses_exec_start, "permission denied by the image"},
        std::pair{Fault::lies_about_states, "a state that the host cannot confirm"}}) {
    CAPTURE(text);
    bench.machine.fault = fault;
    const pid_t shim = bench.create().shim_pid;
    bench.runtime().start("c1");
    runtime::ExecRequest request = exec_request(true);
    request.pid_file = bench.path("exec.pid");
    CHECK(exec(bench, request) == 99);
    CHECK_THAT(bench.text_in("error"), ContainsSubstring(text));
    CHECK_FALSE(std::filesystem::exists(bench.path("exec.pid")));
    CHECK(shims_beside(shim) == 0);
    bench.runtime().remove("c1", true);
  }
  CHECK(bench.left() == Lines{});
}

TEST_CASE("exec: only where a container is", "[runtime][root]") {
  HuskBench bench;
  CHECK_THAT(failure_text([&] { bench.runtime().exec(exec_request(true)); }),
             ContainsSubstring("container does not exist"));
  bench.create();
  bench.runtime().kill("c1", SIGKILL, false);
  CHECK(failure_text([&] { bench.runtime().exec(exec_request(true)); }) ==
        "cannot exec in a stopped container");
  bench.runtime().remove("c1", true);
}

TEST_CASE("exec: a container that ends meanwhile is a stopped one, whatever the guest says",
          "[runtime][root]") {
  HuskBench bench;
  bench.machine.fault = Fault::ends_meanwhile;
  bench.create_and_start();
  CHECK(exec(bench, exec_request(true)) == 99);
  CHECK(bench.text_in("error") == "cannot exec in a stopped container");
  bench.runtime().remove("c1", true);
  CHECK(bench.left() == Lines{});
}

namespace {
/// A process in the pid namespace of `first` that nobody reaps until its parent is killed: that long `first`
/// does not get out of exit(2). The parent, and the process.
std::pair<pid_t, pid_t> join_unreaped(pid_t first) {
  Pipe pids = make_pipe();
  const pid_t parent = check_sys(::fork(), "fork");
  if (parent == 0) {
    const std::string path = "/proc/" + std::to_string(first) + "/ns/pid";
    const UniqueFd space{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
    const pid_t joined = ::setns(space.get(), CLONE_NEWPID) == 0 ? ::fork() : -1;
    if (joined != 0) [[maybe_unused]]
      const auto n = ::write(pids.write_end.get(), &joined, sizeof joined);
    for (;;) ::pause();
  }
  pid_t joined = -1;
  REQUIRE(::read(pids.read_end.get(), &joined, sizeof joined) == sizeof joined);
  REQUIRE(joined > 0);
  return {parent, joined};
}

/// The shim has a thread for each stream that is open.
std::size_t threads_of(pid_t pid) {
  const std::filesystem::directory_iterator threads("/proc/" + std::to_string(pid) + "/task");
  return static_cast<std::size_t>(std::distance(begin(threads), end(threads)));
}

template <class F>
bool eventually(F&& is_so) {
  for (int i = 0; i < 500 && !is_so(); ++i) std::this_thread::sleep_for(10ms);
  return is_so();
}
}  // namespace

TEST_CASE("exec: a container whose shim is ending is a stopped one", "[runtime][root]") {
  HuskBench bench;
  bench.machine.fault = Fault::closes_streams;
  const pid_t shim = bench.create_and_start().shim_pid;
  // The last thread to end waits in exit(2) for the others of the pid namespace. It has to be the first
  // thread: were that a zombie, every look at the shim would say that it has ended.
  REQUIRE(eventually([&] { return threads_of(shim) == 1; }));
  const auto [parent, joined] = join_unreaped(shim);
  ::kill(shim, SIGKILL);
  REQUIRE(eventually([pid = joined] { return !identify_process(pid); }));
  CHECK(is_ending(shim));
  CHECK(identify_process(shim));
  CHECK(exec(bench, exec_request(true)) == 99);
  CHECK(bench.text_in("error") == "cannot exec in a stopped container");
  ::kill(parent, SIGKILL);
  ::waitpid(parent, nullptr, 0);
  bench.runtime().remove("c1", true);
  CHECK(bench.left() == Lines{});
}

namespace {
/// Where a caller waits for a descriptor.
class CallerSocket {
 public:
  explicit CallerSocket(const std::string& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    listener_.reset(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    REQUIRE(::bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
    REQUIRE(::listen(listener_.get(), 1) == 0);
  }
  /// The one descriptor of the one message, and its name.
  std::pair<UniqueFd, std::string> receive() const {
    const UniqueFd connection{::accept(listener_.get(), nullptr, nullptr)};
    std::vector<UniqueFd> received;
    std::array<char, 64> name{};
    receive_with_descriptors(connection.get(), name, received);
    REQUIRE(received.size() == 1);
    return {std::move(received[0]), name.data()};
  }

 private:
  UniqueFd listener_;
};

bool is_pidfd_of(int descriptor, pid_t pid) {
  const std::string text = read_file("/proc/self/fdinfo/" + std::to_string(descriptor), 4096);
  return text.find("Pid:\t" + std::to_string(pid) + "\n") != std::string::npos;
}
}  // namespace

TEST_CASE("exec: a terminal's master goes to the console socket, with its name",
          "[runtime][root]") {
  HuskBench bench;
  bench.create();
  const std::string path = bench.path("console");
  const CallerSocket caller(path);
  runtime::ExecRequest request = exec_request(true);
  std::get<oci::Process>(request.process).terminal = true;
  request.streams.console_socket = path;
  CHECK(exec(bench, request) == 0);
  const auto [master, name] = caller.receive();
  CHECK(name.starts_with("/dev/pts/"));
  CHECK(::isatty(master.get()) == 1);
  bench.runtime().remove("c1", true);
  CHECK(bench.left() == Lines{});
}

TEST_CASE("create, exec: a pidfd goes to its socket, with its kind", "[runtime][root]") {
  HuskBench bench;
  const std::string path = bench.path("pidfd");
  const CallerSocket caller(path);
  runtime::CreateRequest request = bench.request();
  request.pidfd_socket = path;
  const pid_t first = bench.runtime().create(request).shim_pid;
  const auto [container, standard] = caller.receive();
  CHECK(standard == "standard");
  CHECK(is_pidfd_of(container.get(), first));
  runtime::ExecRequest joining = exec_request(true);
  joining.pidfd_socket = path;
  joining.pid_file = bench.path("exec.pid");
  CHECK(exec(bench, joining) == 0);
  const auto [process, setns] = caller.receive();
  CHECK(setns == "setns");
  CHECK(is_pidfd_of(process.get(), std::stoi(read_file(bench.path("exec.pid"), 64))));
  bench.runtime().remove("c1", true);
  CHECK(bench.left() == Lines{});
}

TEST_CASE("create: a pidfd socket that nobody listens on leaves nothing", "[runtime][root]") {
  HuskBench bench;
  runtime::CreateRequest request = bench.request();
  request.pidfd_socket = bench.path("nobody");
  CHECK_THROWS_WITH(bench.runtime().create(request),
                    ContainsSubstring("connect to pidfd socket " + bench.path("nobody").string()));
  CHECK(bench.left() == Lines{});
}
