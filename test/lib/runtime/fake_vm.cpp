// SPDX-License-Identifier: Apache-2.0
#include "test/lib/runtime/fake_vm.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <thread>

#include "lib/base/directory_lock.hpp"
#include "lib/base/error.hpp"
#include "lib/base/files.hpp"
#include "lib/guestcomm/protocol/messages.hpp"

namespace husk::test {

using namespace std::chrono_literals;

hypervisor::StartedVm FakeHypervisor::start(const hypervisor::VmConfig& config) {
  if (machine_.fault == Fault::start_throws) throw Error(Errc::system, "no such machine type");
  const std::filesystem::path vsock = config.vsock.vhost_user_socket.value().parent_path();
  // As the guest learns it: from its share.
  const std::string secret =
      read_file(config.shared_directories.at(0).source / guestcomm::share_secret_file, 100);
  const std::filesystem::path directory = config.console_log.parent_path();
  machine_.record_at_start = read_file(directory / "vm.json", 10'000);
  machine_.was_locked_at_start = is_locked(directory);
  const pid_t child = check_sys(::fork(), "fork the fake VM");
  if (child == 0) {
    run_fake_vm(machine_.fault, vsock / "vsock.sock", secret, machine_.journal, config.console_log);
  }
  machine_.vms.push_back(child);
  hypervisor::StartedVm vm{
      .name = config.name, .process = identify_process(child).value(), .helpers = {}, .cid = {}};
  if (machine_.fault == Fault::ends_at_once) {
    ::kill(child, SIGKILL);
    while (is_alive(vm.process)) std::this_thread::sleep_for(1ms);
  }
  return vm;
}

void FakeHypervisor::destroy(const std::string& name) { machine_.destroyed.push_back(name); }

}  // namespace husk::test
