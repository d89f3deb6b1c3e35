// SPDX-License-Identifier: Apache-2.0
#include "agent/container/container.hpp"

#include <poll.h>
#include <sched.h>
#include <signal.h>

#include "agent/container/container_setup.hpp"
#include "agent/container/exec_setup.hpp"
#include "agent/container/process_list.hpp"
#include "agent/setup/capabilities.hpp"
#include "agent/setup/device_rules.hpp"
#include "agent/setup/keyring.hpp"
#include "agent/setup/limits.hpp"
#include "agent/setup/namespaces.hpp"
#include "agent/setup/process_limits.hpp"
#include "agent/setup/sysctl.hpp"
#include "lib/base/log.hpp"
#include "lib/base/trace.hpp"

namespace husk::agent {
namespace {

constexpr int last_signal = 64;
constexpr const char* notify_directory = "/run";  // the agent's own, where nobody else is
constexpr std::chrono::milliseconds cgroup_retry{2};
/// virtio-fs trusts what it knows no longer than that, so that who waits longer gains nothing.
constexpr std::chrono::seconds forget_patience{1};
constexpr int cgroup_attempts = 2500;  ///< 5 s: something is stuck in the kernel after that
constexpr int freeze_attempts = 2500;  ///< 5 s: a process does not come back from a system call

void check_supported(const oci::Spec& spec) {
  if (!spec.process) throw Error(Errc::invalid_argument, "process is missing");
  if (!spec.root) throw Error(Errc::invalid_argument, "root is missing");
  if (spec.process->args.empty()) throw Error(Errc::invalid_argument, "process.args is empty");
}

/// Killed, perhaps, and not reaped yet.
bool has_ended(int pidfd) {
  pollfd polled{pidfd, POLLIN, 0};
  return ::poll(&polled, 1, 0) > 0;
}

/// The process gets these namespaces in place of new ones.
void join_instead(ProcessSetup& setup, const GuestNamespaces& joined) {
  for (const auto& one : joined) {
    setup.clone_flags &= ~one->flag;
    if (one->flag == CLONE_NEWPID) {
      setup.pid_namespace = one->fd.get();
    } else {
      setup.joined.push_back(one->fd.get());
    }
  }
}

Error stopped_for_exec() { return {Errc::wrong_state, "cannot exec in a stopped container"}; }

}  // namespace

Container::Container(EventLoop& loop, ContainerSetup setup, Reply created, Notify notify,
                     std::function<void(Container&)> on_stopped)
    : loop_(loop),
      id_(std::move(setup.id)),
      keyring_(make_keyring_name(id_)),
      spec_((check_supported(setup.spec), std::move(setup.spec))),
      cgroup_(setup.cgroup_parent, id_),
      notify_(std::move(notify)),
      hook_state_(std::move(setup.hook_state)),
      on_stopped_(std::move(on_stopped)),
      forget_files_(std::move(setup.forget_files)) {
  if (spec_.process->capabilities) warn_of_ignored(*spec_.process->capabilities);
  if (!setup.notify_socket.empty()) {
    notify_target_ = std::move(setup.notify_socket);
    notify_socket_.emplace(loop_, notify_directory, [this](const std::string& text) {
      if (const auto owner = first().owner()) notify_.sd_notify(*owner, {text});
    });
  }
  if (spec_.linux_.resources) apply_limits(*spec_.linux_.resources, cgroup_.path());
  apply_device_rules(spec_, cgroup_.path());
  use_shared_tmpfs(setup);
  watch_memory();
  make_first(setup, std::move(created));
}

Container::~Container() {
  if (retry_) loop_.cancel(*retry_);
  if (freezing_) loop_.cancel(*freezing_);
  if (making_helper_) loop_.cancel(*making_helper_);
  for (const auto& [name, timer] : forgetting_) loop_.cancel(timer);
}

/// The binds stay binds, of the guest's tmpfs in place of the host's.
void Container::use_shared_tmpfs(const ContainerSetup& setup) {
  if (setup.tmpfs_table == nullptr) return;
  for (const guestcomm::SharedTmpfs& shared : setup.shared_tmpfs) {
    tmpfs_.push_back(setup.tmpfs_table->use(shared));
    spec_.mounts.at(shared.mount).source = tmpfs_.back()->place().string();
  }
}

void Container::make_first(ContainerSetup& setup, Reply created) {
  const oci::Process& process = *spec_.process;
  GuestNamespaces joined;
  if (setup.namespace_table != nullptr) joined = setup.namespace_table->find(setup.namespaces);
  ProcessSetup made{.stdio = std::move(setup.stdio),
                    .stream_uid = map_id(spec_.linux_.uid_mappings, process.user.uid),
                    .stream_gid = map_id(spec_.linux_.gid_mappings, process.user.gid),
                    .clone_flags = clone_flags_of_first(spec_),
                    .cgroup = cgroup_.directory_fd(),
                    .child = [this](const ChildDescriptors& descriptors) {
                      run_container_init(keyring_, spec_, descriptors, placed_socket(),
                                         hook_state_);
                    }};
  join_instead(made, joined);
  Laps laps;
  auto first =
      std::make_unique<Process>(loop_, std::move(made), events_for({}, helped(std::move(created))));
  laps.end("clone");
  if (setup.namespace_table != nullptr)
    namespaces_ = setup.namespace_table->add(setup.namespaces, first->pid());
  std::ranges::copy_if(namespaces_, std::back_inserter(pinned_),
                       [](const auto& one) { return one->is_pinned; });
  // From here, since the child may not write them itself.
  apply_id_mappings(first->pid(), spec_);
  if (process.oom_score_adj) apply_oom_score_adj(first->pid(), *process.oom_score_adj);
  if (!setup.waits) first->proceed();
  processes_[{}] = std::move(first);
}

std::optional<PlacedSocket> Container::placed_socket() const {
  if (!notify_socket_) return std::nullopt;
  return PlacedSocket{notify_socket_->path(), notify_target_};
}

Process::Events Container::events_for(const std::string& name, Reply created) {
  const bool is_first = name.empty();
  return {std::move(created),
          [this, name, is_first] { is_first ? end() : process(name).finish_streams(); },
          [this, name, is_first] {
            // Who does not own it by now will not: its maker failed, or is gone.
            if (!is_first && !(process(name).was_created() && process(name).owner()))
              forget_later(name);
            check_stopped();
          },
          [this, name, is_first](ConnectionId owner, int status) {
            notify_.exited(owner, {{id_, name}, status, is_first && out_of_memory_});
            if (!is_first) forget_later(name);
          }};
}

void Container::add_process(const std::string& name, ExecSetup setup, Reply created) {
  const Process::State state = first().state();
  if (state == Process::State::exited || state == Process::State::stopped) throw stopped_for_exec();
  if (state == Process::State::creating)
    throw Error(Errc::wrong_state, "cannot exec in a container that is being created");
  if (processes_.contains(name))
    throw Error(Errc::already_exists, "process with given name already exists");
  if (processes_.size() >= max_processes) {
    throw Error(Errc::unsupported, "this container has " + std::to_string(max_processes) +
                                       " processes started by the host, which is the maximum");
  }
  while_it_runs([&] { join(name, setup, unless_it_ended(std::move(created))); });
}

void Container::join(const std::string& name, ExecSetup& setup, const Reply& created) {
  // Fields that it leaves out are as for the first process (runc: the container's configuration).
  if (!setup.spec.capabilities) setup.spec.capabilities = spec_.process->capabilities;
  if (setup.spec.rlimits.empty()) setup.spec.rlimits = spec_.process->rlimits;
  if (!setup.spec.scheduler) setup.spec.scheduler = spec_.process->scheduler;
  if (!setup.spec.io_priority) setup.spec.io_priority = spec_.process->io_priority;
  if (!setup.spec.oom_score_adj) setup.spec.oom_score_adj = spec_.process->oom_score_adj;
  if (spec_.process->no_new_privileges) setup.spec.no_new_privileges = true;
  if (setup.spec.capabilities) warn_of_ignored(*setup.spec.capabilities);
  std::unique_ptr<Process> made = make_joining(name, setup, created);
  if (setup.spec.oom_score_adj) apply_oom_score_adj(made->pid(), *setup.spec.oom_score_adj);
  made->proceed();
  processes_[name] = std::move(made);
}

/// Its end shows in many ways to who joins it: no pid namespace (ESRCH), no more pids in it (ENOMEM), SIGKILL.
void Container::while_it_runs(const std::function<void()>& join) const {
  try {
    join();
  } catch (const Error&) {
    if (first().is_ending()) throw stopped_for_exec();
    throw;
  }
}

Reply Container::unless_it_ended(Reply reply) const {
  return [this, reply = std::move(reply)](const guestcomm::Outcome& outcome) {
    const bool failed = std::holds_alternative<Error>(outcome);
    reply(failed && first().is_ending() ? guestcomm::Outcome(stopped_for_exec()) : outcome);
  };
}

std::unique_ptr<Process> Container::make_joining(const std::string& name, ExecSetup& setup,
                                                 const Reply& created) {
  const UniqueFd cgroup = setup.cgroup.empty() ? cgroup_.open_for_joining(first().pid())
                                               : cgroup_.open_below(setup.cgroup);
  ProcessSetup made{.stdio = std::move(setup.stdio),
                    .stream_uid = map_id(spec_.linux_.uid_mappings, setup.spec.user.uid),
                    .stream_gid = map_id(spec_.linux_.gid_mappings, setup.spec.user.gid),
                    .cgroup = cgroup.get(),
                    .first = first().pidfd(),
                    .pid_namespace = has_namespace(spec_, "pid") ? first().pidfd() : -1,
                    .child = [this, &setup](const ChildDescriptors& descriptors) {
                      run_exec(keyring_, setup.spec, spec_, first().pid(), descriptors);
                    }};
  return std::make_unique<Process>(loop_, std::move(made), events_for(name, created));
}

void Container::start(const std::string& name, Reply started) {
  if (!name.empty())
    return while_it_runs([&] { process(name).start(unless_it_ended(std::move(started))); });
  if (first().state() == Process::State::created) return prepare_start(std::move(started));
  first().start(std::move(started));
}

/// The helper of `start` is made once `create` was answered: while the host does its part, the guest
/// idles.
Reply Container::helped(Reply created) {
  return [this, created = std::move(created)](const guestcomm::Outcome& outcome) {
    if (!std::holds_alternative<Error>(outcome)) {
      making_helper_ = loop_.after(std::chrono::milliseconds{0}, [this] {
        making_helper_.reset();
        if (first().state() == Process::State::created) make_helper();
      });
    }
    created(outcome);
  };
}

void Container::make_helper() {
  if (!start_helper_) start_helper_.emplace(loop_, [this](int) { forget_files_(first().pid()); });
}

/// It may have been created long ago, and the host have changed its files since.
void Container::prepare_start(Reply started) {
  if (started_) throw Error(Errc::wrong_state, "cannot start an already running container");
  if (has_ended(first().pidfd()))
    throw Error(Errc::wrong_state, "cannot start a container that has stopped");
  apply_late_sysctls(late_sysctls(spec_));
  const auto begin = TraceClock::now();
  make_helper();
  start_helper_->begin(forget_patience, [this, begin](const std::string&, bool is_finished) {
    record_span("shared files", begin);
    if (!is_finished)
      log(LogLevel::warning, "the host's files do not respond, start continues id=" + id_);
    start_first();
  });
  started_ = std::move(started);
}

void Container::start_first() {
  start_helper_.reset();
  const Reply started = std::exchange(started_, nullptr);
  try {
    first().start(started);
  } catch (const Error& error) {  // it was killed meanwhile
    started(error);
  }
}

Process& Container::process(const std::string& name) {
  const auto found = processes_.find(name);
  if (found == processes_.end()) throw Error(Errc::not_found, "process does not exist");
  return *found->second;
}

void Container::check_running() const {
  switch (first().state()) {
    case Process::State::created:
    case Process::State::starting:
    case Process::State::running:
      return;
    case Process::State::creating:
    case Process::State::exited:
    case Process::State::stopped:
      throw Error(Errc::wrong_state, "container not running");
  }
}

void Container::pause(Reply paused) {
  check_running();
  if (freezing_) throw Error(Errc::wrong_state, "the container is being paused");
  cgroup_.set_frozen(true);
  await_frozen(paused, freeze_attempts);
}

void Container::await_frozen(const Reply& paused, int attempts_left) {
  freezing_.reset();
  try {
    check_running();
    if (cgroup_.is_frozen()) return paused(done());
    if (attempts_left == 0) {
      cgroup_.set_frozen(false);
      return paused(Error(Errc::timed_out, "the processes did not freeze in time"));
    }
  } catch (const Error& error) {  // it has ended meanwhile
    return paused(error);
  }
  freezing_ = loop_.after(
      cgroup_retry, [this, paused, attempts_left] { await_frozen(paused, attempts_left - 1); });
}

void Container::resume() {
  check_running();
  cgroup_.set_frozen(false);
}

void Container::update(const oci::Resources& resources) {
  check_running();
  apply_limits(resources, cgroup_.path());
}

guestcomm::ContainerStatistics Container::statistics() const {
  check_running();  // its cgroup goes with its first process
  return measure(cgroup_.path());
}

void Container::list_processes(const Reply& reply) const {
  describe_processes(loop_, all_processes(),
                     [reply](const guestcomm::ProcessList& list) { reply(nlohmann::json(list)); });
}

void Container::watch(ConnectionId watcher) {
  check_running();
  watchers_.insert(watcher);
}

/// A kernel that does not count memory kills no process of one cgroup's for it.
void Container::watch_memory() {
  if (!std::filesystem::exists(cgroup_.path() / "memory.events")) return;
  // Another container of the VM may have taken all that inotify has.
  warn_on_failure([&] { oom_watch_.emplace(loop_, cgroup_.path(), [this] { tell_of_kill(); }); });
}

/// The end of the first process tells its owner itself.
void Container::tell_of_kill() {
  tell_watchers(guestcomm::ContainerEvent::Type::oom);
  if (!processes_.contains({}) || first().state() != Process::State::running) return;
  if (const auto owner = first().owner(); owner && notify_.kill)
    notify_.kill(*owner, {id_, guestcomm::ContainerEvent::Type::oom});
}

void Container::tell_watchers(guestcomm::ContainerEvent::Type type) {
  for (const ConnectionId watcher : watchers_) notify_.event(watcher, {id_, type});
}

/// The last look: its cgroup goes next.
void Container::look_for_kills() noexcept {
  if (std::filesystem::exists(cgroup_.path() / "memory.events"))
    warn_on_failure([&] { out_of_memory_ = count_oom_kills(cgroup_.path()) > 0; });
  if (!oom_watch_) return;
  warn_on_failure([&] { oom_watch_->look(); });
  oom_watch_.reset();
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
  if (!started_) start_helper_.reset();
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
  watchers_.erase(connection);
  for (const auto& [name, process] : processes_) {
    if (process->owner() != connection) continue;
    process->disown();
    process->kill();
    if (name.empty()) kill();
    if (!name.empty() && process->state() == Process::State::stopped) forget_later(name);
  }
}

bool Container::is_stopped() const {
  for (const auto& [name, process] : processes_) {
    if (process->state() != Process::State::stopped) return false;
  }
  return true;
}

void Container::check_stopped() {
  if (!is_stopped()) return;
  tell_watchers(guestcomm::ContainerEvent::Type::stopped);
  on_stopped_(*this);
}

/// From the loop: it may be the process whose method is running.
void Container::forget_later(const std::string& name) {
  if (forgetting_.contains(name)) return;
  forgetting_[name] = loop_.after(std::chrono::milliseconds{0}, [this, name] {
    forgetting_.erase(name);
    processes_.erase(name);
  });
}

/// The first process is gone: without a pid namespace the rest of the container lives on.
void Container::end() {
  if (started_) start_first();  // that is answered before all others go
  start_helper_.reset();
  // The shim goes, and the kernel may give its namespaces' numbers to others. A namespace that the caller made
  // for a pod is there as long as the pod.
  namespaces_ = std::move(pinned_);
  look_for_kills();
  cgroup_.kill();
  if (notify_socket_) notify_socket_->finish();
  remove_cgroup(cgroup_attempts);
}

void Container::remove_cgroup(int attempts_left) {
  retry_.reset();
  const bool gone = cgroup_.remove();
  if (!gone && attempts_left > 0) {
    retry_ = loop_.after(cgroup_retry, [this, attempts_left] { remove_cgroup(attempts_left - 1); });
    return;
  }
  if (!gone) log(LogLevel::error, "cannot remove the cgroup id=" + id_);
  first().finish_streams();
}

}  // namespace husk::agent
