// SPDX-License-Identifier: Apache-2.0
// A VM's process, files and logs without libvirt, in a directory of the test's.
#include "lib/hypervisor/vm_process.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <csignal>
#include <fstream>
#include <set>
#include <stdexcept>
#include <string>

#include "lib/base/descriptors.hpp"
#include "test/lib/base/scratch.hpp"

using namespace husk;
using namespace husk::hypervisor;
namespace fs = std::filesystem;

namespace {

const std::string tested_vm = "husk-test-7c51e0d2";

/// QEMU's driver, whose directories are one of the test's: an absolute name replaces libvirt's.
struct LibvirtFiles {
  test::Scratch scratch;
  std::string directory = scratch.path().string();
  Driver driver = driver_for("qemu:///system");
  LibvirtFiles() { driver.name = directory; }
  void write(const std::string& name, const std::string& text) const {
    std::ofstream(scratch.path() / name) << text;
  }
  void write_pid(const std::string& text) const { write(tested_vm + ".pid", text); }
  std::set<std::string> names() const {
    std::set<std::string> all;
    for (const auto& entry : fs::directory_iterator(scratch.path()))
      all.insert(entry.path().filename().string());
    return all;
  }
};

/// A program that waits and has `argument` in its command line, as QEMU has its VM's name.
class NamedProcess {
 public:
  explicit NamedProcess(const std::string& argument) {
    Pipe executed = make_pipe();
    pid = ::fork();
    if (pid == 0) {
      ::dup2(input_.read_end.get(), STDIN_FILENO);
      ::execl("/bin/sh", "qemu-system-x86_64", "-c", "read line", "-name", argument.c_str(),
              nullptr);
      ::_exit(127);
    }
    executed.write_end.reset();
    char byte = 0;  // close-on-exec: the pipe ends when the program is executed
    if (::read(executed.read_end.get(), &byte, 1) != 0) throw std::runtime_error("not executed");
  }
  NamedProcess(const NamedProcess&) = delete;
  NamedProcess& operator=(const NamedProcess&) = delete;
  ~NamedProcess() {
    ::kill(pid, SIGKILL);
    ::waitpid(pid, nullptr, 0);
  }
  pid_t pid = 0;

 private:
  Pipe input_ = make_pipe();
};

}  // namespace

TEST_CASE("vm process: found by libvirt's pid file, if it is that VM's", "[hypervisor]") {
  const LibvirtFiles files;
  const NamedProcess qemu("guest=" + tested_vm + ",debug-threads=on");
  files.write_pid(std::to_string(qemu.pid) + GENERATE("", "\n"));
  CHECK(find_vm_process(files.driver, tested_vm, {}) == identify_process(qemu.pid));
  // The pid file of another VM may be older than the process that has its pid now.
  files.write("husk-test-7c51e0d.pid", std::to_string(qemu.pid));
  CHECK_FALSE(find_vm_process(files.driver, "husk-test-7c51e0d", {}));
}

TEST_CASE("vm process: a pid file that leads to no VM is none", "[hypervisor]") {
  const LibvirtFiles files;
  CHECK_FALSE(find_vm_process(files.driver, tested_vm, {}));
  const std::string text =
      GENERATE_COPY(as<std::string>{}, "", "x", "0", "-1", "4194305", "99999999999999999999",
                    std::to_string(::getpid()), "1", std::string(65, '1'));
  CAPTURE(text);
  files.write_pid(text);
  CHECK_FALSE(find_vm_process(files.driver, tested_vm, {}));
}

TEST_CASE("vm process: found by the driver's file in the VM's directory", "[hypervisor]") {
  const LibvirtFiles files;
  const Driver& ch = driver_for("ch:///system");
  const ProcessIdentity self = identify_process(::getpid()).value();
  const std::string pid = std::to_string(self.pid), start = std::to_string(self.start_time);
  const auto found = [&](const std::string& text) {
    files.write(ch.process_file, text);
    return find_vm_process(ch, tested_vm, files.scratch.path());
  };
  CHECK(found(pid + " " + start + "\n") == self);
  for (const std::string& text : {pid + " 1", pid, pid + " x", std::string(), std::string("-1 1"),
                                  std::string("1000000000000 1"), std::string(65, '1')}) {
    CAPTURE(text);
    CHECK_FALSE(found(text));
  }
  CHECK_FALSE(find_vm_process(ch, tested_vm, files.scratch.path() / "none"));
}

TEST_CASE("vm process: ended by SIGKILL, and ended already is fine", "[hypervisor]") {
  const NamedProcess qemu("guest=" + tested_vm + ",");
  const ProcessIdentity process = identify_process(qemu.pid).value();
  ::kill(qemu.pid, SIGSTOP);
  CHECK(end_vm_process(process));
  CHECK_FALSE(is_alive(process));
  CHECK(end_vm_process(process));
  // Another process with the pid is not the VM.
  const ProcessIdentity other{.pid = ::getpid(), .start_time = process.start_time + 1};
  CHECK(end_vm_process(other));
}

TEST_CASE("vm process: libvirt has forgotten a VM when the domain's file is gone", "[hypervisor]") {
  const LibvirtFiles files;
  files.write(tested_vm + ".xml", "<domain/>");
  files.write("other.xml", "<domain/>");
  CHECK_FALSE(is_forgotten(files.driver, tested_vm));
  fs::remove(files.scratch.path() / (tested_vm + ".xml"));
  CHECK(is_forgotten(files.driver, tested_vm));
  CHECK(await_forgotten(files.driver, tested_vm));
  CHECK_FALSE(is_forgotten(files.driver, "other"));
}

TEST_CASE("vm process: of an ended VM the logs go, and nobody else's", "[hypervisor]") {
  const LibvirtFiles files;
  const std::string longer = tested_vm + "0";
  const std::set<std::string> kept{longer + ".log", longer + "-fs0-virtiofsd.log",
                                   tested_vm + ".log.gz", tested_vm + ".pid", tested_vm + ".xml"};
  for (const std::string& name : kept) files.write(name, "x");
  for (const char* end : {".log", ".log.0", ".log.12", "-fs0-virtiofsd.log"})
    files.write(tested_vm + end, "x");
  remove_vm_traces(files.driver, tested_vm);
  CHECK(files.names() == kept);
  fs::remove_all(files.scratch.path());
  CHECK_NOTHROW(remove_vm_traces(files.driver, tested_vm));  // no directory, no logs
}
