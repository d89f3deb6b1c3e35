// SPDX-License-Identifier: Apache-2.0
#include "agent/container_table.hpp"

#include <signal.h>
#include <sys/wait.h>

#include "lib/base/log.hpp"
#include "lib/oci/check.hpp"

namespace husk::agent {

ContainerTable::ContainerTable(EventLoop& loop, std::filesystem::path cgroup_parent, Notify notify)
    : loop_(loop), cgroup_parent_(std::move(cgroup_parent)), notify_(std::move(notify)) {}

ContainerTable::Entry& ContainerTable::find(const std::string& id) {
  const auto found = entries_.find(id);
  if (found == entries_.end()) throw Error(Errc::not_found, "container does not exist");
  return found->second;
}

void ContainerTable::create(ContainerSetup setup, Reply reply) {
  const std::string id = setup.id;
  oci::check_container_id(id);
  if (entries_.contains(id)) {
    throw Error(Errc::already_exists, "container with given ID already exists");
  }
  if (entries_.size() >= max_containers) {
    throw Error(Errc::unsupported, "this guest has " + std::to_string(max_containers) +
                                       " containers and takes no more");
  }
  setup.cgroup_parent = cgroup_parent_;
  auto container =
      std::make_unique<Container>(loop_, std::move(setup), std::move(reply),
                                  [this](Container& stopped) { handle_stopped(stopped.id()); });
  entries_[id].container = std::move(container);
}

void ContainerTable::start(const std::string& id, Reply reply) {
  find(id).container->start(std::move(reply));
}

void ContainerTable::signal(const guestcomm::SignalContainer& request) {
  find(request.id).container->signal(request.signal, request.all);
}

void ContainerTable::own(const std::string& id, ConnectionId connection) {
  Entry& entry = find(id);
  if (entry.owner && *entry.owner != connection) {
    throw Error(Errc::wrong_state, "container is owned by another connection");
  }
  entry.owner = connection;
  // From the loop, so that the answer to this request goes out first.
  loop_.after(std::chrono::milliseconds{0}, [this, id] {
    const auto found = entries_.find(id);
    if (found != entries_.end()) tell_exit(found->second);
  });
}

void ContainerTable::remove(const std::string& id, Reply reply) {
  Entry& entry = find(id);
  switch (entry.container->state()) {
    case Container::State::stopped:
      entry.removed.push_back(std::move(reply));
      erase_later(id);
      return;
    case Container::State::created:
      entry.container->kill();
      entry.removed.push_back(std::move(reply));
      return;
    case Container::State::exited:
      entry.removed.push_back(std::move(reply));
      return;
    case Container::State::creating:
    case Container::State::starting:
    case Container::State::running:
      throw Error(Errc::wrong_state,
                  "cannot delete container " + id + " that is not stopped: running");
  }
}

void ContainerTable::handle_stopped(const std::string& id) {
  Entry& entry = find(id);
  tell_exit(entry);
  if (!entry.removed.empty() || !entry.container->was_created()) erase_later(id);
}

void ContainerTable::tell_exit(Entry& entry) {
  const Container& container = *entry.container;
  const bool stopped = container.state() == Container::State::stopped;
  if (!stopped || !entry.owner || entry.exit_told) return;
  entry.exit_told = true;
  notify_(*entry.owner, {container.id(), container.status()});
}

/// The container may be the one whose method is running: it goes once that has returned. Its entry
/// goes at once, so that the id is free when the answer arrives.
void ContainerTable::erase_later(const std::string& id) {
  auto node = std::make_shared<Entry>(std::move(find(id)));
  entries_.erase(id);
  loop_.after(std::chrono::milliseconds{0}, [node] {
    node->container.reset();
    for (const Reply& removed : node->removed) removed(std::nullopt);
  });
}

void ContainerTable::connection_closed(ConnectionId connection) noexcept {
  for (auto& [id, entry] : entries_) {
    if (entry.owner != connection) continue;
    entry.owner.reset();
    entry.container->kill();
  }
}

void ContainerTable::reap() {
  int status = 0;
  for (pid_t pid = 0; (pid = ::waitpid(-1, &status, WNOHANG)) > 0;) {
    // From the loop, each by itself: what goes wrong with one must not hide the end of the others.
    loop_.after(std::chrono::milliseconds{0}, [this, pid, status] { handle_exit(pid, status); });
  }
}

void ContainerTable::handle_exit(pid_t pid, int status) {
  for (auto& [id, entry] : entries_) {
    if (entry.container->pid() != pid) continue;
    entry.container->handle_exit(status);
    return;  // handle_exit may have changed the map
  }
}

bool ContainerTable::has_running() const {
  for (const auto& [id, entry] : entries_) {
    if (entry.container->state() != Container::State::stopped) return true;
  }
  return false;
}

}  // namespace husk::agent
