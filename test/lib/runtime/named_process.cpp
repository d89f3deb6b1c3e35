// SPDX-License-Identifier: Apache-2.0
#include "test/lib/runtime/named_process.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>

#include "lib/base/files.hpp"
#include "lib/base/process.hpp"

namespace husk::test {

namespace fs = std::filesystem;

NamedProcess::NamedProcess(const std::string& name)
    : pid_file_("/run/libvirt/qemu/" + name + ".pid"), pid_(::fork()) {
  if (pid_ == 0) {
    ::execl("/bin/sleep", ("guest=" + name + ",").c_str(), "1000", nullptr);
    ::_exit(127);
  }
  fs::create_directories(pid_file_.parent_path());
  std::ofstream(pid_file_) << pid_;
  const std::string command = "/proc/" + std::to_string(pid_) + "/cmdline";
  while (read_file(command, 65536).find("guest=") == std::string::npos) ::usleep(1000);
}

NamedProcess::~NamedProcess() {
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
  std::error_code none;
  fs::remove(pid_file_, none);
  fs::remove(pid_file_.parent_path(), none);
  fs::remove(pid_file_.parent_path().parent_path(), none);
}

bool NamedProcess::runs() const { return identify_process(pid_).has_value(); }

}  // namespace husk::test
