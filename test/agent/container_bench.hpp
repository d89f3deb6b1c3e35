// SPDX-License-Identifier: Apache-2.0
// Makes containers with the agent's code on this host, with a root of busybox.
#pragma once

#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <catch2/catch_test_macros.hpp>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "agent/container/container.hpp"
#include "lib/base/files.hpp"
#include "lib/base/random_id.hpp"

namespace husk::test {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

/// Where cgroup version 2 is on this host; empty if it is nowhere.
inline fs::path cgroup2() {
  for (const char* path : {"/sys/fs/cgroup", "/sys/fs/cgroup/unified"}) {
    if (fs::exists(fs::path(path) / "cgroup.procs") &&
        fs::exists(fs::path(path) / "cgroup.controllers"))
      return path;
  }
  return {};
}

inline std::string skip_reason() {
  if (::geteuid() != 0) return "needs root";
  if (cgroup2().empty()) return "needs cgroup version 2";
  if (!fs::exists("/bin/busybox")) return "needs busybox-static";
  return {};
}

struct Bench {
  agent::EventLoop loop;
  fs::path rootfs, cgroups = cgroup2() / ("husk-test-" + random_hex(4));
  std::optional<agent::Container> container;
  std::optional<Error> error;
  bool created = false, started = false, stopped = false;
  std::vector<std::pair<agent::ConnectionId, guestcomm::ProcessExited>> told;
  std::vector<std::pair<agent::ConnectionId, guestcomm::ContainerEvent::Type>> events, kills;
  std::vector<std::pair<agent::ConnectionId, std::string>> said;  ///< by sd_notify(3)
  std::string notify_socket;                                      ///< of the next container
  /// The next container's state, for its startContainer hooks.
  std::string hook_state = R"({"id":"one","pid":0,"status":"created"})";
  std::function<void(pid_t)> forget_files;           ///< of the next container; empty: the agent's
  std::vector<guestcomm::NamespaceUse> namespaces;   ///< of the next container
  agent::NamespaceTable* namespace_table = nullptr;  ///< likewise
  std::vector<guestcomm::SharedTmpfs> shared_tmpfs;  ///< likewise
  agent::TmpfsTable* tmpfs_table = nullptr;          ///< likewise
  UniqueFd out;

  Bench() {
    std::string pattern = "/tmp/husk-container-XXXXXX";
    REQUIRE(::mkdtemp(pattern.data()) != nullptr);
    rootfs = pattern;
    fs::permissions(rootfs, fs::perms{0755});  // for processes that are not root's
    fs::create_directories(rootfs / "bin");
    fs::copy_file("/bin/busybox", rootfs / "bin/busybox");
    fs::create_symlink("busybox", rootfs / "bin/sh");
    fs::create_directory(cgroups);
  }
  Bench(const Bench&) = delete;
  Bench& operator=(const Bench&) = delete;
  ~Bench() {
    if (container && container->first().pid() > 0) {
      container->kill();
      // The processes in its pid namespace too, or it never ends.
      while (::waitpid(-1, nullptr, 0) > 0) continue;
    }
    container.reset();
    std::error_code ignored;  // a test that failed half-way is the failure to be seen
    fs::remove(cgroups, ignored);
    fs::remove_all(rootfs);
  }

  oci::Spec spec(const std::string& script) const {
    oci::Spec made;
    made.root.emplace();
    made.root->path = rootfs;
    made.process.emplace();
    made.process->args = {"/bin/sh", "-c", script};
    made.process->cwd = "/";
    made.process->env = {"PATH=/bin"};
    for (const char* type : {"pid", "mount", "ipc", "uts"})
      made.linux_.namespaces.push_back({type, {}});
    oci::Mount dev;
    dev.destination = "/dev";
    dev.type = "tmpfs";
    dev.options = {"mode=755"};
    made.mounts.push_back(dev);
    return made;
  }

  void create(oci::Spec made) {
    std::array<int, 2> sockets{};
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets.data()) == 0);
    out.reset(sockets[0]);
    create_with(std::move(made), guestcomm::Pipes<UniqueFd>{{}, UniqueFd{sockets[1]}, {}});
  }
  void create_with(oci::Spec made, guestcomm::Stdio<UniqueFd> stdio) {
    agent::ContainerSetup setup{"one",   std::move(made), std::move(stdio),
                                cgroups, notify_socket,   hook_state};
    setup.namespaces = namespaces;
    setup.namespace_table = namespace_table;
    setup.shared_tmpfs = shared_tmpfs;
    setup.tmpfs_table = tmpfs_table;
    if (forget_files) setup.forget_files = forget_files;
    container.emplace(
        loop, std::move(setup),
        [this](const agent::Outcome& outcome) {
          created = true;
          take_error(outcome);
        },
        agent::Notify{[this](agent::ConnectionId owner, const guestcomm::ProcessExited& exited) {
                        told.emplace_back(owner, exited);
                      },
                      [this](agent::ConnectionId watcher, const guestcomm::ContainerEvent& event) {
                        events.emplace_back(watcher, event.type);
                      },
                      [this](agent::ConnectionId owner, const guestcomm::SdNotify& text) {
                        said.emplace_back(owner, text.text);
                      },
                      [this](agent::ConnectionId owner, const guestcomm::ContainerEvent& kill) {
                        kills.emplace_back(owner, kill.type);
                      }},
        [this](agent::Container&) { stopped = true; });
    run_until([this] { return created; });
  }
  void start() {
    container->first().start([this](const agent::Outcome& outcome) {
      started = true;
      take_error(outcome);
    });
    run_until([this] { return started; });
  }
  /// One more process, on a terminal or with its standard output in `out`.
  void exec(const std::string& name, oci::Process process,
            std::optional<guestcomm::WindowSize> terminal = {}) {
    std::array<int, 2> sockets{};
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets.data()) == 0);
    out.reset(sockets[0]);
    agent::ExecSetup setup{std::move(process), {}, {}};
    if (terminal) {
      setup.stdio = guestcomm::Terminal<UniqueFd>{UniqueFd{sockets[1]}, *terminal};
    } else {
      setup.stdio = guestcomm::Pipes<UniqueFd>{{}, UniqueFd{sockets[1]}, {}};
    }
    bool done = false;
    container->add_process(name, std::move(setup), [this, &done](const agent::Outcome& outcome) {
      done = true;
      take_error(outcome);
    });
    run_until([&] { return done; });
  }
  void start(const std::string& name) {
    bool done = false;
    container->process(name).start([this, &done](const agent::Outcome& outcome) {
      done = true;
      take_error(outcome);
    });
    run_until([&] { return done; });
  }
  /// Every byte until the end of the stream, with the loop running.
  std::string read_to_end() {
    ::fcntl(out.get(), F_SETFL, O_NONBLOCK);
    std::string text;
    run_until([&] {
      std::array<char, 4096> chunk{};
      ssize_t count = 0;
      while ((count = ::read(out.get(), chunk.data(), chunk.size())) > 0)
        text.append(chunk.data(), static_cast<std::size_t>(count));
      return count == 0;
    });
    return text;
  }

  /// The loop, with the part of the agent that collects children.
  void run_until(const std::function<bool()>& reached) {
    for (int i = 0; i < 3000 && !reached(); ++i) {
      loop.run_once(10ms);
      int status = 0;
      for (pid_t pid = 0; (pid = ::waitpid(-1, &status, WNOHANG)) > 0;)
        container->handle_exit(pid, status);
    }
    REQUIRE(reached());
  }
  void take_error(const agent::Outcome& outcome) {
    const auto* failure = std::get_if<Error>(&outcome);
    error = failure != nullptr ? std::optional(*failure) : std::nullopt;
  }
  std::string finish() {
    run_until([this] { return stopped; });
    return read_all(out.get(), 1u << 20, "output");
  }
};

}  // namespace husk::test

#define SKIP_UNLESS_POSSIBLE() \
  if (const std::string reason = husk::test::skip_reason(); !reason.empty()) SKIP(reason)
