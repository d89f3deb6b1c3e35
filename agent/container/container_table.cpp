// SPDX-License-Identifier: Apache-2.0
#include "agent/container/container_table.hpp"

#include <signal.h>
#include <sys/wait.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "agent/loop/helper_process.hpp"
#include "agent/setup/shared_files.hpp"
#include "agent/setup/sysctl.hpp"
#include "agent/setup/volumes.hpp"
#include "lib/base/log.hpp"
#include "lib/oci/check.hpp"

namespace husk::agent {
namespace {

constexpr std::chrono::seconds let_go_patience{5};

}  // namespace

ContainerTable::ContainerTable(EventLoop& loop, std::filesystem::path parent, Notify notify)
    : loop_(loop), cgroup_parent_(std::move(parent)), notify_(std::move(notify)) {}

Container& ContainerTable::find(const std::string& id) { return *entry_of(id).container; }

ContainerTable::Entry& ContainerTable::entry_of(const std::string& id) {
  const auto found = entries_.find(id);
  if (found == entries_.end()) throw Error(Errc::not_found, "container does not exist");
  return found->second;
}

Container& ContainerTable::create(ContainerSetup setup, Reply reply) {
  const std::string id = setup.id;
  oci::check_container_id(id);
  if (entries_.contains(id)) {
    throw Error(Errc::already_exists, "container with given ID already exists");
  }
  if (entries_.size() >= max_containers) {
    throw Error(Errc::unsupported, "this guest has " + std::to_string(max_containers) +
                                       " containers, which is the maximum");
  }
  // A container of that id may have been here, with other files.
  if (had_containers_) forget_share();
  had_containers_ = true;
  setup.cgroup_parent = cgroup_parent_;
  setup.namespace_table = &namespaces_;
  setup.tmpfs_table = &tmpfs_;
  setup.waits = letting_go_ > 0;
  auto container =
      std::make_unique<Container>(loop_, std::move(setup), std::move(reply), notify_,
                                  [this](Container& stopped) { handle_stopped(stopped.id()); });
  Entry& entry = entries_[id];
  entry.waits = letting_go_ > 0;
  return *(entry.container = std::move(container));
}

void ContainerTable::remove(const std::string& id, Reply reply) {
  Entry& entry = entry_of(id);
  switch (entry.container->first().state()) {
    case Process::State::stopped:
      entry.removed.push_back(std::move(reply));
      if (entry.container->is_stopped()) erase_later(id);
      return;
    case Process::State::created:
      entry.container->kill();
      entry.removed.push_back(std::move(reply));
      return;
    case Process::State::exited:
      entry.removed.push_back(std::move(reply));
      return;
    case Process::State::creating:
    case Process::State::starting:
    case Process::State::running:
      if (!entry.container->first().owner()) {  // then it was killed, and ends in a moment
        entry.removed.push_back(std::move(reply));
        return;
      }
      throw Error(Errc::wrong_state,
                  "cannot delete container " + id + " that is not stopped: running");
  }
}

void ContainerTable::handle_stopped(const std::string& id) {
  Entry& entry = entry_of(id);
  if (!entry.removed.empty() || !entry.container->first().was_created()) erase_later(id);
}

/// The container may be the one whose method is running: it goes once that has returned. Its entry
/// goes at once, so that the id is free when the answer arrives.
void ContainerTable::erase_later(const std::string& id) {
  auto node = std::make_shared<Entry>(std::move(entry_of(id)));
  entries_.erase(id);
  loop_.after(std::chrono::milliseconds{0}, [this, node, id] {
    node->container.reset();
    let_go_of(id, [node] {
      for (const Reply& removed : node->removed) removed(done());
    });
  });
}

/// `gone` is called once: when the guest has its files no longer, or cannot let go of them.
void ContainerTable::let_go_of(const std::string& id, const std::function<void()>& gone) {
  try {
    const auto files =
        entries_.contains(id) ? decltype(mounts_in_share(id)){} : mounts_in_share(id);
    const auto volumes = mounted_volumes();
    if (!files.empty() || !volumes.empty()) {
      HelperProcess::run(
          loop_, let_go_patience,
          [&](int) {
            let_go_of_files(files);
            let_go_of_volumes(volumes, sources_in_use());
          },
          [this, gone, id](const std::string&, bool is_finished) {
            if (!is_finished) log(LogLevel::warning, "cannot unmount the host's files id=" + id);
            end_letting_go();
            gone();
          });
      ++letting_go_;
      return;
    }
  } catch (const Error& error) {
    log(LogLevel::warning, std::string("mounts of a removed container: ") + error.what());
  }
  gone();
}

std::vector<std::string> ContainerTable::sources_in_use() const {
  std::vector<std::string> used;
  for (const auto& [id, entry] : entries_)
    std::ranges::move(bind_sources(entry.container->spec()), std::back_inserter(used));
  return used;
}

/// Lets go on with the containers that were created meanwhile, and waited.
void ContainerTable::end_letting_go() noexcept {
  if (--letting_go_ > 0) return;
  for (auto& [id, entry] : entries_)
    if (std::exchange(entry.waits, false))
      warn_on_failure([&] { entry.container->first().proceed(); });
}

void ContainerTable::connection_closed(ConnectionId connection) noexcept {
  for (const auto& [id, entry] : entries_) entry.container->connection_closed(connection);
}

void ContainerTable::reap() {
  int status = 0;
  for (pid_t pid = 0; (pid = ::waitpid(-1, &status, WNOHANG)) > 0;) {
    // From the loop, each by itself: what goes wrong with one must not hide the end of the others.
    loop_.after(std::chrono::milliseconds{0}, [this, pid, status] { handle_exit(pid, status); });
  }
}

void ContainerTable::handle_exit(pid_t pid, int status) {
  for (const auto& [id, entry] : entries_) {
    if (entry.container->handle_exit(pid, status)) return;  // and the map may have changed
  }
}

std::optional<ConnectionId> ContainerTable::owner_of_first() const {
  for (const auto& [id, entry] : entries_) {
    const Process& first = entry.container->first();
    if (first.state() == Process::State::running && first.owner()) return first.owner();
  }
  return std::nullopt;
}

std::set<std::string> ContainerTable::network_sysctls() const {
  std::set<std::string> names;
  for (const auto& [id, entry] : entries_)
    names.merge(agent::network_sysctls(entry.container->spec()));
  return names;
}

}  // namespace husk::agent
