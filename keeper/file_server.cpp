// SPDX-License-Identifier: Apache-2.0
#include "keeper/file_server.hpp"

#include <linux/capability.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <exception>
#include <string>
#include <vector>

#include "lib/base/capabilities.hpp"
#include "lib/base/descriptors.hpp"
#include "lib/base/error.hpp"
#include "lib/base/resource_limit.hpp"

namespace husk::keeper {
namespace {

/// To make files as any user, and at the start for namespaces of its own. Neither CAP_DAC_READ_SEARCH, by which a file
/// handle opens any file of a file system, nor CAP_SYS_RESOURCE, by which a limit could be raised.
constexpr int needed_capabilities[] = {CAP_CHOWN,  CAP_DAC_OVERRIDE, CAP_FOWNER,  CAP_FSETID,
                                       CAP_SETGID, CAP_SETUID,       CAP_SETPCAP, CAP_SYS_ADMIN,
                                       CAP_MKNOD,  CAP_SETFCAP};
constexpr int socket_number = STDERR_FILENO + 1;

/// Returns when somebody has connected.
void await_connection(int socket) {
  pollfd polled{socket, POLLIN, 0};
  while (::poll(&polled, 1, -1) < 0)
    if (errno != EINTR) throw_errno("wait for the hypervisor");
}

void take_descriptors(int socket, int log) {
  check_sys(::dup2(log, STDOUT_FILENO), "take the log");
  check_sys(::dup2(log, STDERR_FILENO), "take the log");
  const UniqueFd held(check_sys(::dup(socket), "take the socket"));
  check_sys(::dup2(held.get(), socket_number), "take the socket");
  close_other_descriptors({socket_number});
}

[[noreturn]] void execute(const handoff::FileServerSetup& setup) {
  std::vector<std::string> words{setup.program};
  words.insert(words.end(), setup.arguments.begin(), setup.arguments.end());
  words.push_back("--fd=" + std::to_string(socket_number));
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  const std::array<char*, 1> environment{nullptr};
  ::execve(setup.program.c_str(), argv.data(), environment.data());
  throw_errno("execute " + setup.program);
}

[[noreturn]] void run_server(const handoff::FileServerSetup& setup, int socket, int log,
                             pid_t keeper) {
  check_sys(::prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0), "bind the file server to its keeper");
  if (::getppid() != keeper) ::_exit(1);
  ::setsid();
  take_descriptors(socket, log);
  await_connection(socket_number);
  // A keeper that husk has forked has those of husk's caller: the guest's files are no matter of a shell's ulimit.
  for (const auto resource : {RLIMIT_FSIZE, RLIMIT_CPU, RLIMIT_AS}) lift_limit(resource);
  lower_limit(RLIMIT_CORE, 0);
  lower_limit(RLIMIT_NOFILE, setup.max_open_files);
  drop_inheritable();
  keep_in_bounding_set(needed_capabilities);
  check_sys(::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "set no-new-privileges");
  // From now on the hypervisor's connection says how long: a VM outlives its keeper.
  check_sys(::prctl(PR_SET_PDEATHSIG, 0, 0, 0, 0), "let the file server go");
  execute(setup);
}

}  // namespace

FileServer::FileServer(const handoff::FileServerSetup& setup, int socket, int log) {
  const pid_t self = ::getpid();
  pid_ = check_sys(::fork(), "fork the file server");
  if (pid_ == 0) {
    try {
      run_server(setup, socket, log, self);
    } catch (const std::exception& e) {
      const std::string text = std::string(e.what()) + "\n";
      [[maybe_unused]] const ssize_t written = ::write(STDERR_FILENO, text.data(), text.size());
      ::_exit(126);
    }
  }
  pidfd_.reset(static_cast<int>(::syscall(SYS_pidfd_open, pid_, 0U)));
}

FileServer::~FileServer() {
  // Its session: virtiofsd's first process waits for the one that serves.
  ::kill(-pid_, SIGKILL);
  ::kill(pid_, SIGKILL);
  while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
  }
}

}  // namespace husk::keeper
