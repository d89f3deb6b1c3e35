// SPDX-License-Identifier: Apache-2.0
// husk exec: one more process in a container, with a shim of its own in the first one's place.

#include "lib/base/cancellation.hpp"
#include "lib/base/error.hpp"
#include "lib/base/random_id.hpp"
#include "lib/base/signals.hpp"
#include "lib/guestcomm/protocol/create_messages.hpp"
#include "lib/guestcomm/protocol/process_messages.hpp"
#include "lib/oci/bundle.hpp"
#include "lib/oci/check.hpp"
#include "lib/runtime/caller/caller_socket.hpp"
#include "lib/runtime/caller/foreground.hpp"
#include "lib/runtime/caller/pid_file.hpp"
#include "lib/runtime/caller/terminal.hpp"
#include "lib/runtime/host/host_cgroup.hpp"
#include "lib/runtime/plan/exec_process.hpp"
#include "lib/runtime/record/end_meanwhile.hpp"
#include "lib/runtime/runtime.hpp"
#include "lib/runtime/shim/shim_process.hpp"
#include "lib/runtime/vm/process_streams.hpp"
#include "lib/runtime/vm/vm_handle.hpp"

namespace husk::runtime {
namespace {

using namespace std::chrono_literals;

constexpr auto create_process_patience = 120s;
constexpr auto start_process_patience =
    60s;  ///< reading a large program over virtio-fs takes its time

/// The process to start, without the host's labels, which mean nothing in the guest.
oci::Process find_process(const ExecRequest& request, const ContainerRecord& record) {
  oci::Process process;
  if (const auto* changes = std::get_if<ExecChanges>(&request.process)) {
    process = plan_exec_process(*oci::load_bundle(record.bundle).spec.process, *changes);
  } else {
    process = std::get<oci::Process>(request.process);
  }
  oci::check_process(process);
  process.apparmor_profile.reset();
  process.selinux_label.reset();
  return process;
}

/// Ends `cancellation` when the process runs: signals are for that then.
int exec_in(const ContainerRecord& record, const ExecRequest& request,
            const std::filesystem::path& shim_program, std::optional<Cancellation>& cancellation) {
  const oci::Process process = find_process(request, record);
  const bool is_detached = request.streams.detached;
  check_streams(request.streams, process.terminal);
  if (request.pid_file) check_pid_file(*request.pid_file, find_pid_file_place(*request.pid_file));
  const auto window = plan_window(process, find_caller_window());

  // Opening may start a thread. The making of the shim sets the pid namespace of this process's
  // children, and the kernel starts no thread after that.
  const VmHandle vm = VmHandle::open(record.vm_id);
  std::optional<HostTerminal> terminal;
  if (request.streams.console_socket) terminal.emplace(*window);
  HostCgroup cgroup(record.shim->pid);

  // The agent ends the process with the connection that had it made, until the shim owns it.
  guestcomm::AgentClient agent = vm.connect(start_process_patience);
  ProcessStreams streams = open_streams(vm.guest(), window);
  const guestcomm::ProcessRef name{request.id, random_hex(8)};
  auto creation =
      agent.begin(guestcomm::CreateProcess{name, process, streams.tokens, request.cgroup},
                  create_process_patience);
  // While the guest sets up the process.
  ShimProcess shim(shim_program, plan_exec_shim(process, *record.shim, !is_detached), cgroup,
                   slave_of(terminal));
  const UniqueFd control = vm.connect(VmHandle::connect_patience).release();
  creation.finish();
  shim.hand_over(name, control.get(), streams.descriptors());

  std::optional<RawTerminal> raw;
  if (!is_detached && window) raw.emplace();
  const UniqueFd signals = is_detached ? UniqueFd{} : collect_signals();
  throw_if_cancelled();
  if (request.pidfd_socket)
    send_to_caller(*request.pidfd_socket, "pidfd socket", "setns", shim.open_pidfd().get());
  agent.call(guestcomm::StartProcess{name}, start_process_patience);
  if (terminal) terminal->send_master(*request.streams.console_socket);
  if (request.pid_file) write_pid_file(*request.pid_file, shim.pid());
  shim.keep();
  cancellation.reset();  // from here on, signals are the process's
  return is_detached ? 0 : wait_for_shim(shim.pid(), signals.get());
}

}  // namespace

int Runtime::exec(const ExecRequest& request) {
  std::optional<Cancellation> cancellation(std::in_place);
  const auto [record, state] = store_.load_with_state(request.id);
  if (!request.ignore_paused || state != ContainerState::paused)
    check_allowed(Command::exec, state, request.id);
  return unless_it_ends(store_, record, Command::exec, [&, &record = record] {
    return exec_in(record, request, paths_.shim, cancellation);
  });
}

}  // namespace husk::runtime
