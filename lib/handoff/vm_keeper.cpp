// SPDX-License-Identifier: Apache-2.0
#include "lib/handoff/vm_keeper.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <string>

#include "lib/base/advice.hpp"
#include "lib/base/cancellation.hpp"
#include "lib/base/deadline.hpp"
#include "lib/base/descriptors.hpp"
#include "lib/base/detach.hpp"
#include "lib/base/error.hpp"
#include "lib/base/log.hpp"
#include "lib/base/unix_address.hpp"
#include "lib/handoff/keeper_messages.hpp"

namespace husk::handoff {
namespace {

constexpr std::chrono::seconds end_patience{2};
constexpr int device_look_again_ms = 2;

bool is_own_socket(const std::filesystem::path& path) {
  struct stat info {};
  return ::lstat(path.c_str(), &info) == 0 && S_ISSOCK(info.st_mode);
}

UniqueFd open_kept(const ProcessIdentity& process, const std::string& what) {
  UniqueFd pidfd = open_process(process);
  if (!pidfd) throw Error(Errc::peer_lost, what + " ended");
  return pidfd;
}

/// -1, no descriptor, gives none.
UniqueFd duplicate(int fd) {
  if (fd < 0) return {};
  return UniqueFd{check_sys(::fcntl(fd, F_DUPFD_CLOEXEC, 3), "duplicate a descriptor")};
}

/// In a child of husk's. The environment is the one that systemd gives a service.
[[noreturn]] void execute_keeper(const KeeperSetup& setup, int socket) {
  const std::string program = setup.program.string();
  const std::array<const char*, 3> argv{"husk-keeper", setup.vm_id.c_str(), nullptr};
  const std::array<const char*, 2> environment{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", nullptr};
  ::dup2(socket, STDIN_FILENO);
  ::execve(program.c_str(), const_cast<char* const*>(argv.data()),
           const_cast<char* const*>(environment.data()));
  ::_exit(127);
}

UniqueFd claim_socket() {
  return UniqueFd(check_sys(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0), "socket"));
}

}  // namespace

VmKeeper::VmKeeper(KeeperSetup setup) : setup_(std::move(setup)) {
  or_end([&] { start(); });
}

VmKeeper::VmKeeper(const std::filesystem::path& directory, const VsockUsers& users,
                   KeeperSetup setup)
    : device_(VhostDeviceSetup{.directory = directory.string(), .uid = users.device}),
      setup_(std::move(setup)) {
  if (::access(vhost_device_program, X_OK) != 0)
    throw Error(Errc::unsupported,
                std::string("this host has neither /dev/vhost-vsock nor vhost-device-vsock; ") +
                    advice::vsock);
  if (is_own_socket(device_socket()) || is_own_socket(host_socket()))
    throw Error(Errc::already_exists, directory.string() + ": already has a vsock device");
  or_end([&] {
    start();
    await_greeting();
    await_sockets();
    give_vhost_socket(directory.string(), users.hypervisor);
  });
}

VmKeeper VmKeeper::of_spare(const std::filesystem::path& socket,
                            std::chrono::milliseconds patience) {
  VmKeeper keeper;
  keeper.setup_.patience = patience;
  keeper.keeper_ = claim_socket();
  const sockaddr_un name = unix_address(socket);
  check_sys(::connect(keeper.keeper_.get(), reinterpret_cast<const sockaddr*>(&name), sizeof name),
            "connect to " + socket.string());
  if (!keeper.receive_greeting())
    throw Error(Errc::timed_out, "the keeper of the spare VM does not answer");
  return keeper;
}

UniqueFd listen_for_claim(const std::filesystem::path& path) {
  UniqueFd socket = claim_socket();
  check_sys(::fchmod(socket.get(), 0600), "chmod a socket");  // the file's mode, once it is bound
  const sockaddr_un name = unix_address(path);
  check_sys(::bind(socket.get(), reinterpret_cast<const sockaddr*>(&name), sizeof name),
            "bind " + path.string());
  check_sys(::listen(socket.get(), 1), "listen");
  return socket;
}

/// A keeper that is not told takes the VM for one whose husk was killed.
void VmKeeper::or_end(const std::function<void()>& work) {
  try {
    work();
  } catch (...) {
    if (keeper_) send_end(keeper_.get());
    throw;
  }
}

void VmKeeper::start() {
  check_sys(::access(setup_.program.c_str(), X_OK), "execute " + setup_.program.string());
  if (!setup_.launch) return fork_keeper();
  SocketPair ends = make_socket_pair();
  try {
    setup_.launch(ends.other.get());
  } catch (const Error& e) {
    log(LogLevel::debug, std::string("the VM's keeper is forked: ") + e.what());
    return fork_keeper();
  }
  keeper_ = std::move(ends.own);
  is_launched_ = true;
  begin();
}

void VmKeeper::fork_keeper() {
  is_launched_ = false;
  SocketPair ends = make_socket_pair();
  keeper_ = std::move(ends.own);
  step("the VM's keeper", [&] { fork_orphan([&] { execute_keeper(setup_, ends.other.get()); }); });
  begin();
}

/// A keeper that did not come up shows in await_greeting().
void VmKeeper::begin() {
  KeeperBegin begin{.vm_id = setup_.vm_id,
                    .device = device_,
                    .leave_cgroups = !is_launched_,
                    .record = setup_.record.string(),
                    .told_network = setup_.told_network.string(),
                    .pod_network = setup_.pod_network.string(),
                    .own_pod_network = setup_.own_pod_network.string(),
                    .config = setup_.config.string(),
                    .fills_pool = setup_.fills_pool};
  if (setup_.files) {
    begin.files = setup_.files->setup;
    begin.files_socket = duplicate(setup_.files->socket);
    begin.files_log = duplicate(setup_.files->log);
  }
  begin.console_fifo = duplicate(setup_.console_fifo);
  begin.console_log = duplicate(setup_.console_log);
  if (!setup_.husk.empty())
    begin.husk.reset(
        check_sys(::open(setup_.husk.c_str(), O_PATH | O_CLOEXEC), "open " + setup_.husk.string()));
  try {
    send_begin(keeper_.get(), begin);
  } catch (const Error& e) {
    if (e.sys_errno() != EPIPE && e.sys_errno() != ECONNRESET) throw;
  }
}

/// Whoever launches it may not get as far as its program, for example because the program cannot be
/// seen from there. A greeting that was not read when the socket is closed would take what was sent
/// over it from the keeper (unix(7): ECONNRESET).
void VmKeeper::await_greeting() {
  if (greeting_ || receive_greeting()) return;
  if (is_launched_) {
    log(LogLevel::debug, "the VM's keeper is forked: the one that was launched does not answer");
    send_end(keeper_.get());  // should it come up yet
    fork_keeper();
    if (receive_greeting()) return;
  }
  throw Error(Errc::system, "the VM's keeper did not start");
}

bool VmKeeper::receive_greeting() {
  pollfd polled{keeper_.get(), POLLIN, 0};
  if (::poll(&polled, 1, static_cast<int>(setup_.patience.count())) <= 0) return false;
  try {
    greeting_ = handoff::receive_greeting(keeper_.get());
  } catch (const Error& e) {
    log(LogLevel::debug, std::string("the VM's keeper: ") + e.what());
  }
  return greeting_.has_value();
}

/// The keeper's end of the socket closes when it exits, and it exits only with the device gone.
bool VmKeeper::has_ended(int timeout_ms) {
  for (;;) {
    pollfd polled{keeper_.get(), POLLIN, 0};
    if (::poll(&polled, 1, timeout_ms) <= 0) return false;
    char byte = 0;
    if (::recv(keeper_.get(), &byte, 1, MSG_DONTWAIT) != 1) return true;
  }
}

void VmKeeper::await_sockets() {
  const Deadline deadline(setup_.patience);
  while (!is_own_socket(own_folder() / vhost_socket) || !is_own_socket(host_socket())) {
    throw_if_cancelled();
    if (has_ended(device_look_again_ms))
      throw Error(Errc::system, "vhost-device-vsock exited before it created its sockets in " +
                                    device_->directory);
    if (deadline.passed())
      throw Error(Errc::timed_out,
                  "vhost-device-vsock did not create its sockets in time in " + device_->directory);
  }
}

VmKeeper::~VmKeeper() {
  if (!keeper_) return;
  send_end(keeper_.get());
  ::shutdown(keeper_.get(), SHUT_WR);
  has_ended(static_cast<int>(std::chrono::milliseconds(end_patience).count()));
}

std::filesystem::path VmKeeper::own_folder() const {
  return std::filesystem::path(device_.value().directory) / device_folder;
}
std::filesystem::path VmKeeper::device_socket() const {
  return std::filesystem::path(device_.value().directory) / vhost_socket;
}
std::filesystem::path VmKeeper::host_socket() const { return own_folder() / vsock_socket; }

ProcessIdentity VmKeeper::file_server() {
  await_greeting();
  const auto server = identify_pidfd(greeting_->files.get());
  if (!server)
    throw Error(Errc::peer_lost, "virtiofsd was not started, or not where this process can see it");
  return *server;
}

void VmKeeper::hand_over(const KeptVm& kept) {
  KeptProcesses processes;
  processes.vm = open_kept(kept.vm, "the virtual machine");
  for (const ProcessIdentity& helper : kept.helpers)
    processes.helpers.push_back(open_kept(helper, "a helper of the virtual machine"));
  for (const ProcessIdentity& shim : kept.shims)
    processes.shims.push_back(open_kept(shim, "the shim"));
  processes.changes = duplicate(kept.changes);
  processes.kills = duplicate(kept.kills);
  processes.listener = duplicate(kept.listener);
  processes.held = duplicate(kept.held);
  processes.claims = duplicate(kept.claims);
  await_greeting();
  send_keep(keeper_.get(), processes);
  handed_over_ = std::move(keeper_);
}

}  // namespace husk::handoff
