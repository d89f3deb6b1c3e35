// SPDX-License-Identifier: Apache-2.0
// For tests of a VM's keeper: the program, and processes for it to keep.
#pragma once

#include <poll.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <thread>

#include "lib/base/process.hpp"
#include "lib/base/unique_fd.hpp"
#include "lib/handoff/vm_keeper.hpp"

namespace husk::test {

inline const handoff::KeeperSetup plain{.program = HUSK_KEEPER, .vm_id = "00001234"};

inline std::string slurp(const std::filesystem::path& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

inline pid_t parent_of(pid_t pid) {
  const std::string status = slurp("/proc/" + std::to_string(pid) + "/status");
  return std::stoi(status.substr(status.find("PPid:") + 5));
}

template <typename Condition>
bool comes_true(Condition&& condition) {
  for (int tries = 0; tries < 250; ++tries) {
    if (condition()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  return false;
}

/// A process that stands for QEMU, virtiofsd or a shim.
struct FakeProcess {
  pid_t pid = ::fork();
  FakeProcess() {
    if (pid == 0) {
      ::pause();
      ::_exit(0);
    }
  }
  FakeProcess(const FakeProcess&) = delete;
  FakeProcess& operator=(const FakeProcess&) = delete;
  ~FakeProcess() { end(); }
  ProcessIdentity identity() const { return identify_process(pid).value(); }
  bool ends_within(std::chrono::milliseconds patience) const {
    const UniqueFd pidfd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0u)));
    pollfd polled{pidfd.get(), POLLIN, 0};
    return ::poll(&polled, 1, static_cast<int>(patience.count())) == 1;
  }
  void end() {
    if (pid <= 0) return;
    ::kill(pid, SIGKILL);
    ::waitpid(pid, nullptr, 0);
    pid = 0;
  }
};

}  // namespace husk::test
