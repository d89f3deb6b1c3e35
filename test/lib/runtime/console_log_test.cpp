// SPDX-License-Identifier: Apache-2.0
// The files of a VM's console, which virtlogd writes beside its directory.
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <fstream>
#include <set>

#include "lib/base/descriptors.hpp"
#include "lib/base/error.hpp"
#include "lib/base/files.hpp"
#include "lib/runtime/vm/vm_directory.hpp"
#include "test/lib/runtime/vm_files.hpp"

using namespace husk;
using namespace husk::runtime;
using husk::test::Assets;
using husk::test::expect;
using husk::test::in_own_run;
using husk::test::kernel_settings;
using husk::test::secret;

namespace fs = std::filesystem;

TEST_CASE("VmDirectory: the console's logs go with it, and nobody else's", "[runtime][root]") {
  if (::geteuid() != 0) SKIP("needs root");
  const Assets assets;
  CHECK(in_own_run([&] {
          const std::string parent = std::string(vm_directories) + "/";
          const std::set<std::string> others{"0000caff.console.log", "0000cafe.console.log.old",
                                             "0000cafe.console.log."};
          {
            const VmDirectory vm("0000cafe", assets.boot(), secret, kernel_settings);
            expect(vm.paths().console_log() == parent + "0000cafe.console.log", "the log's place");
            for (const char* name :
                 {"0000cafe.console.log", "0000cafe.console.log.0", "0000cafe.console.log.12"})
              std::ofstream(parent + name) << "Linux version";
            for (const std::string& name : others) std::ofstream(parent + name) << "kept";
          }
          std::set<std::string> left;
          for (const auto& entry : fs::directory_iterator(vm_directories))
            left.insert(entry.path().filename());
          expect(left == others, "other files than those are left");
        }) == "");
}

// libvirt 11's virtlogd has a mount namespace of its own, which gets what the host mounts in a shared
// directory: what it wrote under the VM's mount could not be removed.
TEST_CASE("VmDirectory: who has a mount namespace of its own writes the console's log beside it",
          "[runtime][root]") {
  if (::geteuid() != 0) SKIP("needs root");
  const Assets assets;
  CHECK(in_own_run([&] {
          check_sys(::mount(nullptr, "/run", nullptr, MS_SHARED, nullptr), "share /run");
          Pipe order = make_pipe(), ready = make_pipe();
          const pid_t logger = ::fork();
          if (logger == 0) {
            if (::unshare(CLONE_NEWNS) != 0) ::_exit(1);
            if (::mount(nullptr, "/", nullptr, MS_SLAVE | MS_REC, nullptr) != 0) ::_exit(2);
            order.write_end.reset();
            ready.write_end.reset();
            char byte = 0;
            if (::read(order.read_end.get(), &byte, 1) != 1) ::_exit(3);
            std::ofstream log(VmPaths("0000cafe").console_log());
            ::_exit(log << "Linux version" << std::flush ? 0 : 4);
          }
          ready.write_end.reset();
          read_all(ready.read_end.get(), 1, "the logger");
          {
            const VmDirectory vm("0000cafe", assets.boot(), secret, kernel_settings);
            check_sys(::write(order.write_end.get(), "w", 1), "write");
            int status = 0;
            check_sys(::waitpid(logger, &status, 0), "waitpid");
            expect(status == 0, "the log cannot be written");
            expect(read_file(vm.paths().console_log(), 100) == "Linux version", "it is not seen");
          }
          expect(!fs::exists(vm_directories), "the VM's directory is left");
        }) == "");
}
