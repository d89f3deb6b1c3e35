// SPDX-License-Identifier: Apache-2.0
// A child process that stands for a VM with its agent. It takes the place of the user-space vsock
// device's host socket, and speaks the agent's protocol (lib/guestcomm/protocol) with one fault.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "lib/base/error.hpp"
#include "lib/hypervisor/vm.hpp"

namespace husk::test {

enum class Fault {
  none,
  no_hypervisor,           ///< connecting to it throws
  start_throws,            ///< "no such machine type"
  ends_at_once,            ///< when start() returns there is no VM any more
  ends_while_booting,      ///< a moment later
  never_announces,         ///< writes "fake kernel panic" to the console instead
  announces_another,       ///< protocol 77
  refuses_hello,           ///< "the secret is wrong"
  refuses_stream,          ///< closes the connection
  refuses_create,          ///< "no such program in the image"
  refuses_owner,           ///< "owner refused"
  exits_before_its_owner,  ///< process_exited where the answer to own_process is due
  exits_at_once,           ///< process_exited after the answer to own_process
  refuses_start,           ///< "permission denied by the image"
  refuses_exec,            ///< "no such program in the image"
  refuses_exec_owner,      ///< "owner refused"
  refuses_exec_start,      ///< "permission denied by the image"
  ends_meanwhile,  ///< a started container, which is asked for anything but signals: "no such process"
                   ///< first, and its end then
  closes_streams,     ///< all of a started container's, as a daemon does
  refuses_claim,      ///< "not a spare one"
  refuses_signals,    ///< "signal refused"
  refuses_update,     ///< "limit refused"
  takes_no_memory,    ///< that is plugged
  keeps_memory,       ///< that was plugged
  refuses_pause,      ///< "does not stand still"
  lies_about_states,  ///< "container not running" to all that is asked of a started container
  ignores_kill,       ///< says yes to SIGKILL, and does nothing
  stuck_after_start   ///< takes connections and answers nothing any more
};

/// What all fake VMs of a test share.
struct FakeMachine {
  Fault fault = Fault::none;
  /// One line for each thing that the agent is asked for: "create", "own", "start",
  /// "signal <n> [all]", "resize <MiB> <CPUs>", "update <container>", "exec <container> <arguments>", "own exec", "start exec", "delete <container>".
  std::filesystem::path journal;
  std::vector<pid_t> vms = {};  ///< every VM's process; children of the caller of create
  std::vector<std::string> destroyed = {};              ///< names
  std::string record_at_start = {};                     ///< vm.json when the last VM was started
  bool was_locked_at_start = false;                     ///< the VM's directory
  std::optional<hypervisor::MemoryDevice> memory = {};  ///< that a running VM was given last
  bool refuses_change = false;
};

class FakeHypervisor final : public hypervisor::Hypervisor {
 public:
  explicit FakeHypervisor(FakeMachine& machine) : machine_(machine) {}
  hypervisor::StartedVm start(const hypervisor::VmConfig& config) override;
  void destroy(const std::string& name) override;
  void attach(const std::string& /*name*/, const hypervisor::NetworkCard& /*card*/,
              const std::function<void()>& place) override {
    place();
  }
  void change(const std::string& /*name*/, const hypervisor::MemoryDevice& device) override {
    if (machine_.refuses_change) throw Error(Errc::system, "libvirt: the memory cannot be changed");
    machine_.memory = device;
  }
  void rename(const std::string& /*name*/, const std::string& /*title*/,
              const std::string& /*description*/) override {}
  std::string version() override { return "9.0.0"; }

 private:
  FakeMachine& machine_;
};

/// The body of the child, whose taps go with it. stays: without containers as well. `host_socket`: where husk connects to; `secret`: the VM's.
[[noreturn]] void run_fake_vm(Fault fault, bool stays, const std::filesystem::path& host_socket,
                              const std::string& secret, const std::filesystem::path& journal,
                              const std::filesystem::path& console,
                              const std::vector<int>& taps) noexcept;

}  // namespace husk::test
