// SPDX-License-Identifier: Apache-2.0
// husk's side of a VM's keeper; test/keeper has the same with the keeper itself.
#include "lib/handoff/vm_keeper.hpp"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers.hpp>
#include <chrono>
#include <csignal>
#include <fstream>
#include <sstream>

#include "lib/base/descriptors.hpp"
#include "lib/base/error.hpp"
#include "lib/base/unix_address.hpp"
#include "lib/handoff/keeper_messages.hpp"
#include "test/lib/base/scratch.hpp"

using namespace husk;
using namespace husk::handoff;
using namespace std::chrono_literals;
namespace fs = std::filesystem;

namespace {

/// The other end of a keeper that was launched, in this process.
class LaunchedKeeper {
 public:
  enum class Manner { greets, is_silent, ends };

  explicit LaunchedKeeper(Manner manner = Manner::greets) : manner_(manner) {}

  KeeperSetup setup() {
    return {.program = "/bin/false",  // for the fork, where the launched one does not answer
            .vm_id = "00001234",
            .record = "/run/husk-vm/00001234/vm.json",
            .launch = [this](int socket) { launch(socket); },
            .patience = 100ms};
  }
  KeeperBegin begin() const { return receive_begin(socket_.get()); }
  KeeperOrder order() const { return receive_order(socket_.get()); }
  bool is_launched() const { return static_cast<bool>(socket_); }
  /// From here on husk sees that the keeper has ended, but what husk said can be read.
  void end() const { ::shutdown(socket_.get(), SHUT_WR); }
  std::function<void()> make_sockets = [] {};
  int files = -1;  ///< that the greeting brings

 private:
  void launch(int socket) {
    socket_.reset(::fcntl(socket, F_DUPFD_CLOEXEC, 3));
    make_sockets();
    if (manner_ != Manner::is_silent) send_greeting(socket_.get(), files);
    if (manner_ == Manner::ends) end();
  }
  Manner manner_;
  UniqueFd socket_;
};

ProcessIdentity ended_process() {
  const pid_t child = ::fork();
  if (child == 0) {
    ::pause();
    ::_exit(0);
  }
  const ProcessIdentity identity = identify_process(child).value();
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  return identity;
}

ProcessIdentity this_process() { return identify_process(::getpid()).value(); }
ProcessIdentity parent_process() { return identify_process(::getppid()).value(); }

std::string content_of(const fs::path& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

/// The process that a pidfd stands for.
std::string pid_of(const UniqueFd& pidfd) {
  const std::string info = content_of("/proc/self/fdinfo/" + std::to_string(pidfd.get()));
  const std::size_t start = info.find("Pid:\t");
  return start == std::string::npos ? "none"
                                    : info.substr(start + 5, info.find('\n', start) - start - 5);
}

bool is_one_file(const UniqueFd& one, int other) {
  struct stat a {
  }, b{};
  return ::fstat(one.get(), &a) == 0 && ::fstat(other, &b) == 0 && a.st_dev == b.st_dev &&
         a.st_ino == b.st_ino;
}

/// The folder of a VM's vsock, which vhost-device-vsock is to fill.
struct VsockFolders {
  test::Scratch scratch;
  fs::path path = scratch.path(), own = path / device_folder;
  VsockFolders() { fs::create_directory(own); }
  static void bind(const fs::path& file) {
    const UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const sockaddr_un name = unix_address(file);
    check_sys(::bind(socket.get(), reinterpret_cast<const sockaddr*>(&name), sizeof name), "bind");
  }
  VmKeeper start(LaunchedKeeper& keeper) const {
    return VmKeeper(path, {.device = 65432, .hypervisor = 65433}, keeper.setup());
  }
  /// The text of the error without the folder's name at its end.
  std::string failure(LaunchedKeeper& keeper, Errc code) const {
    try {
      start(keeper);
    } catch (const Error& error) {
      CHECK(error.code() == code);
      const std::string text = error.what();
      CHECK(text.ends_with(" in " + path.string()));
      return text.substr(0, text.size() - path.string().size());
    }
    return "nothing was thrown";
  }
};

void skip_without_device() {
  if (::geteuid() != 0) SKIP("needs root");
  if (::access(vhost_device_program, X_OK) != 0) SKIP("vhost-device-vsock is not installed");
}

}  // namespace

TEST_CASE("VM keeper: is told its VM before it is waited for", "[handoff]") {
  LaunchedKeeper launched;
  KeeperSetup setup = launched.setup();
  const bool has_husk = GENERATE(true, false);
  if (has_husk) setup.husk = "/bin/true";
  const VmKeeper keeper(setup);
  CHECK_FALSE(keeper.has_device());
  const KeeperBegin begin = launched.begin();
  CHECK(begin.vm_id == "00001234");
  CHECK(begin.record == "/run/husk-vm/00001234/vm.json");
  CHECK_FALSE(begin.leave_cgroups);  // systemd has made it
  CHECK_FALSE(begin.device);
  CHECK(static_cast<bool>(begin.husk) == has_husk);
  launched.end();
}

TEST_CASE("VM keeper: the file server is the process that the keeper's greeting brings",
          "[handoff]") {
  LaunchedKeeper launched;
  KeeperSetup setup = launched.setup();
  const Pipe pipe = make_pipe();
  setup.files = {
      .setup = {.program = "/v"}, .socket = pipe.read_end.get(), .log = pipe.write_end.get()};
  SECTION("of a running process") {
    const UniqueFd parent = open_process(parent_process());
    launched.files = parent.get();
    VmKeeper keeper(setup);
    CHECK(keeper.file_server() == parent_process());
  }
  SECTION("none") {
    VmKeeper keeper(setup);
    CHECK_THROWS_WITH(keeper.file_server(),
                      "virtiofsd was not started, or not where this process can see it");
  }
  const KeeperBegin begin = launched.begin();
  CHECK(begin.files.value().program == "/v");
  CHECK(is_one_file(begin.files_socket, pipe.read_end.get()));
  CHECK(is_one_file(begin.files_log, pipe.write_end.get()));
  launched.end();
}

TEST_CASE("VM keeper: is handed each process and descriptor in its place, then nothing",
          "[handoff]") {
  LaunchedKeeper launched;
  const Pipe changes = make_pipe(), listener = make_pipe(), held = make_pipe();
  {
    VmKeeper keeper(launched.setup());
    keeper.hand_over({.vm = this_process(),
                      .helpers = {parent_process()},
                      .shims = {this_process(), parent_process()},
                      .changes = changes.read_end.get(),
                      .listener = listener.read_end.get(),
                      .held = held.read_end.get()});
  }
  launched.begin();
  const KeeperOrder order = launched.order();
  const auto& kept = std::get<KeptProcesses>(order);
  const std::string self = std::to_string(::getpid()), parent = std::to_string(::getppid());
  CHECK(pid_of(kept.vm) == self);
  REQUIRE(kept.helpers.size() == 1);
  CHECK(pid_of(kept.helpers[0]) == parent);
  REQUIRE(kept.shims.size() == 2);
  CHECK(pid_of(kept.shims[0]) == self);
  CHECK(pid_of(kept.shims[1]) == parent);
  CHECK(is_one_file(kept.changes, changes.read_end.get()));
  CHECK(is_one_file(kept.listener, listener.read_end.get()));
  CHECK(is_one_file(kept.held, held.read_end.get()));
  // Neither an end, which would tell that there is no VM, nor an open socket.
  CHECK(std::holds_alternative<AbandonedVm>(launched.order()));
}

TEST_CASE("VM keeper: what was not handed over is told that there is no VM", "[handoff]") {
  LaunchedKeeper launched;
  SECTION("nothing went wrong") {
    const VmKeeper keeper(launched.setup());
    launched.end();
  }
  SECTION("husk's program is not there") {
    KeeperSetup setup = launched.setup();
    setup.husk = "/nonexistent/husk";
    CHECK_THROWS_WITH(VmKeeper(setup), "open /nonexistent/husk: no such file or directory");
    CHECK(std::holds_alternative<NoVm>(launched.order()));
    return;  // before it was told which
  }
  SECTION("a process has ended") {
    VmKeeper keeper(launched.setup());
    const ProcessIdentity gone = ended_process(), alive = this_process();
    CHECK_THROWS_WITH(keeper.hand_over({.vm = gone}), "the virtual machine ended");
    CHECK_THROWS_WITH(keeper.hand_over({.vm = alive, .helpers = {alive, gone}}),
                      "a helper of the virtual machine ended");
    CHECK_THROWS_WITH(keeper.hand_over({.vm = alive, .shims = {alive, gone}}), "the shim ended");
    launched.end();
  }
  SECTION("a descriptor is not open") {
    VmKeeper keeper(launched.setup());
    CHECK_THROWS_WITH(keeper.hand_over({.vm = this_process(), .held = 1 << 20}),
                      "duplicate a descriptor: bad file descriptor");
    launched.end();
  }
  launched.begin();
  CHECK(std::holds_alternative<NoVm>(launched.order()));
}

TEST_CASE("VM keeper: one that does not answer in time is told to end, and another is forked",
          "[handoff]") {
  LaunchedKeeper launched(LaunchedKeeper::Manner::is_silent);
  {
    VmKeeper keeper(launched.setup());
    CHECK_THROWS_WITH(keeper.hand_over({.vm = this_process()}), "the VM's keeper did not start");
  }
  launched.begin();
  CHECK(std::holds_alternative<NoVm>(launched.order()));
}

TEST_CASE("VM keeper: a program that is not there is named, and nobody is launched", "[handoff]") {
  LaunchedKeeper launched;
  KeeperSetup setup = launched.setup();
  setup.program = "/nonexistent/husk-keeper";
  CHECK_THROWS_WITH(VmKeeper(setup), "execute /nonexistent/husk-keeper: no such file or directory");
  CHECK_FALSE(launched.is_launched());
}

TEST_CASE("VM keeper: a forked one gets the VM's id, systemd's environment and the socket alone",
          "[handoff]") {
  const test::Scratch scratch;
  const std::string directory = scratch.path().string();
  const fs::path program = scratch.path() / "keeper";
  std::ofstream(program) << "#!/bin/sh\nprintf x >&0\necho \"$#:$1:$PATH:$HOME\" > " + directory +
                                "/called\nexec cat > " + directory + "/said\n";
  fs::permissions(program, fs::perms(0700));
  // The destructor waits for the program's end.
  { const VmKeeper keeper(KeeperSetup{.program = program, .vm_id = "00001234"}); }
  CHECK(content_of(scratch.path() / "called") == "1:00001234:/usr/sbin:/usr/bin:/sbin:/bin:\n");
  CHECK(
      content_of(scratch.path() / "said") ==
      R"({"begin":{"config":"","console":false,"fillsPool":false,"husk":false,"leaveCgroups":true,"ownPodNetwork":"","podNetwork":"","record":"","toldNetwork":"","vmId":"00001234"}})"
      R"({"end":true})");
}

TEST_CASE("VM keeper: the device's sockets are awaited, and the hypervisor's is given away",
          "[handoff]") {
  skip_without_device();
  const VsockFolders folders;
  LaunchedKeeper launched;
  launched.make_sockets = [&] {
    VsockFolders::bind(folders.own / vhost_socket);
    VsockFolders::bind(folders.own / vsock_socket);
  };
  const VmKeeper keeper = folders.start(launched);
  CHECK(keeper.has_device());
  CHECK(keeper.device_socket() == folders.path / vhost_socket);
  CHECK(keeper.host_socket() == folders.own / vsock_socket);
  struct stat info {};
  REQUIRE(::lstat(keeper.device_socket().c_str(), &info) == 0);
  CHECK(S_ISSOCK(info.st_mode));
  CHECK(info.st_uid == 65433);
  const KeeperBegin begin = launched.begin();
  REQUIRE(begin.device);
  CHECK(begin.device->directory == folders.path.string());
  CHECK(begin.device->uid == 65432);
  launched.end();
}

TEST_CASE("VM keeper: a device without its two sockets is an error that names the folder",
          "[handoff]") {
  skip_without_device();
  const VsockFolders folders;
  SECTION("it has ended") {
    LaunchedKeeper launched(LaunchedKeeper::Manner::ends);
    CHECK(folders.failure(launched, Errc::system) ==
          "vhost-device-vsock exited before it created its sockets in ");
    launched.begin();
    CHECK(std::holds_alternative<NoVm>(launched.order()));
  }
  SECTION("it made one, and others that are no sockets of its own") {
    LaunchedKeeper launched;
    launched.make_sockets = [&] {
      VsockFolders::bind(folders.own / vsock_socket);
      fs::create_symlink(folders.own / vsock_socket, folders.own / vhost_socket);
    };
    CHECK(folders.failure(launched, Errc::timed_out) ==
          "vhost-device-vsock did not create its sockets in time in ");
    CHECK_FALSE(fs::exists(folders.path / vhost_socket));
  }
}

TEST_CASE("VM keeper: a folder that has a device's socket gets no second device", "[handoff]") {
  skip_without_device();
  const VsockFolders folders;
  VsockFolders::bind(GENERATE(true, false) ? folders.path / vhost_socket
                                           : folders.own / vsock_socket);
  LaunchedKeeper launched;
  CHECK_THROWS_WITH(folders.start(launched),
                    folders.path.string() + ": already has a vsock device");
  CHECK_FALSE(launched.is_launched());
}
