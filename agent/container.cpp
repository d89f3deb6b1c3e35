// SPDX-License-Identifier: Apache-2.0
#include "agent/container.hpp"

#include <signal.h>

#include "agent/container_setup.hpp"
#include "agent/setup/capabilities.hpp"
#include "agent/setup/namespaces.hpp"
#include "agent/setup/process_limits.hpp"
#include "lib/base/log.hpp"

namespace husk::agent {
namespace {

constexpr int last_signal = 64;
constexpr std::chrono::milliseconds cgroup_retry{2};
constexpr int cgroup_attempts = 2500;  ///< 5 s: something is stuck in the kernel after that

void check_supported(const oci::Spec& spec) {
  if (!spec.process) throw Error(Errc::invalid_argument, "process is missing");
  if (!spec.root) throw Error(Errc::invalid_argument, "root is missing");
  if (spec.process->args.empty()) throw Error(Errc::invalid_argument, "process.args is empty");
  if (spec.process->terminal) {
    throw Error(Errc::unsupported, "process.terminal: terminals are not supported yet");
  }
}

}  // namespace

Container::Container(EventLoop& loop, ContainerSetup setup, Reply created, Notify notify,
                     std::function<void(Container&)> on_stopped)
    : loop_(loop),
      id_(std::move(setup.id)),
      spec_((check_supported(setup.spec), std::move(setup.spec))),
      cgroup_(setup.cgroup_parent, id_),
      on_stopped_(std::move(on_stopped)) {
  if (spec_.process->capabilities) warn_of_ignored(*spec_.process->capabilities);
  make_first(std::move(setup.stdio), std::move(created), notify);
}

Container::~Container() {
  if (retry_) loop_.cancel(*retry_);
}

void Container::make_first(guestcomm::Stdio<UniqueFd> stdio, Reply created, const Notify& notify) {
  const oci::Process& process = *spec_.process;
  ProcessSetup setup{
      std::move(stdio),
      map_id(spec_.linux_.uid_mappings, process.user.uid),
      map_id(spec_.linux_.gid_mappings, process.user.gid),
      clone_flags(spec_),
      cgroup_.directory_fd(),
      [this](const ChildDescriptors& descriptors) { run_container_init(spec_, descriptors); }};
  Process::Events events{std::move(created), [this] { end(); }, [this] { on_stopped_(*this); },
                         [this, notify](ConnectionId owner, int status) {
                           notify(owner, {{id_, {}}, status});
                         }};
  auto first = std::make_unique<Process>(loop_, std::move(setup), std::move(events));
  // From here, since the child may not write them itself.
  apply_id_mappings(first->pid(), spec_);
  if (process.oom_score_adj) apply_oom_score_adj(first->pid(), *process.oom_score_adj);
  first->proceed();
  processes_[{}] = std::move(first);
}

Process& Container::process(const std::string& name) {
  const auto found = processes_.find(name);
  if (found == processes_.end()) throw Error(Errc::not_found, "process does not exist");
  return *found->second;
}

void Container::signal(const guestcomm::SignalProcess& request) {
  if (request.signal < 0 || request.signal > last_signal) {
    throw Error(Errc::invalid_argument,
                "signal " + std::to_string(request.signal) + " does not exist");
  }
  Process& target = process(request.process.process);
  if (target.pid() < 0) throw Error(Errc::wrong_state, "container not running");
  const bool is_first = request.process.process.empty();
  if (request.signal == SIGKILL && (request.all || is_first)) {
    kill();
  } else if (request.all) {
    for (const pid_t pid : cgroup_.processes()) ::kill(pid, request.signal);
  } else {
    target.signal(request.signal);
  }
}

void Container::kill() noexcept {
  first().kill();
  cgroup_.kill();
}

bool Container::handle_exit(pid_t pid, int wait_status) {
  for (const auto& [name, process] : processes_) {
    if (process->pid() != pid) continue;
    process->handle_exit(wait_status);
    return true;  // the map may have changed
  }
  return false;
}

void Container::connection_closed(ConnectionId connection) noexcept {
  for (const auto& [name, process] : processes_) {
    if (process->owner() != connection) continue;
    process->disown();
    process->kill();
    if (name.empty()) kill();
  }
}

/// The first process is gone: without a pid namespace the rest of the container lives on.
void Container::end() {
  cgroup_.kill();
  remove_cgroup(cgroup_attempts);
}

void Container::remove_cgroup(int attempts_left) {
  retry_.reset();
  const bool gone = cgroup_.remove();
  if (!gone && attempts_left > 0) {
    retry_ = loop_.after(cgroup_retry, [this, attempts_left] { remove_cgroup(attempts_left - 1); });
    return;
  }
  if (!gone) log(LogLevel::error, "cgroup cannot be removed id=" + id_);
  first().finish_streams();
}

}  // namespace husk::agent
