// SPDX-License-Identifier: Apache-2.0
// Containers in a guest that the cases of one program share. Everything fails the test when it fails.
#pragma once

#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <string>
#include <thread>
#include <vector>

#include "lib/base/error.hpp"
#include "lib/base/files.hpp"
#include "lib/base/random_id.hpp"
#include "lib/guestcomm/link/agent_client.hpp"
#include "lib/guestcomm/protocol/connections.hpp"
#include "lib/guestcomm/protocol/container_messages.hpp"
#include "lib/guestcomm/protocol/create_messages.hpp"
#include "lib/guestcomm/protocol/frame.hpp"
#include "lib/guestcomm/protocol/process_messages.hpp"
#include "lib/guestcomm/protocol/share.hpp"
#include "lib/guestcomm/protocol/statistics.hpp"
#include "lib/guestcomm/protocol/vm_messages.hpp"
#include "test/agent/vm_guest.hpp"

namespace husk::test {

using namespace guestcomm;
using namespace std::chrono_literals;

/// One guest for all cases but those that end it: booting takes seconds. Kept up by its connection.
inline VmGuest& guest() {
  static VmGuest vm;
  return vm;
}

inline AgentClient& client() {
  static AgentClient connection(guest().access(), 20s, ErrorWords::of_the_agent);
  return connection;
}

inline oci::Mount mount(const char* type, const char* destination,
                        std::vector<std::string> options) {
  oci::Mount made;
  made.type = type;
  made.source = type;
  made.destination = destination;
  made.options = std::move(options);
  return made;
}

inline oci::Spec make_spec(const std::string& id, std::vector<std::string> args) {
  oci::Spec spec;
  spec.oci_version = "1.0.2";
  spec.root.emplace();
  spec.root->path = std::string(share_mount_point) + "/" + id + "/rootfs";
  spec.process.emplace();
  spec.process->args = std::move(args);
  spec.process->env = {"PATH=/bin"};
  spec.process->cwd = "/";
  for (const char* type : {"pid", "mount", "ipc", "uts", "cgroup"}) {
    spec.linux_.namespaces.push_back({type, std::nullopt});
  }
  spec.mounts = {mount("proc", "/proc", {}),
                 mount("tmpfs", "/dev", {"nosuid", "strictatime", "mode=755", "size=65536k"}),
                 mount("devpts", "/dev/pts",
                       {"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"}),
                 mount("sysfs", "/sys", {"nosuid", "noexec", "nodev", "ro"}),
                 mount("cgroup", "/sys/fs/cgroup", {"ro", "nosuid", "noexec", "nodev"}),
                 mount("mqueue", "/dev/mqueue", {"nosuid", "noexec", "nodev"})};
  return spec;
}

/// Everything a container writes and its status, as a shim would get it.
struct Ended {
  int status = -1;
  int kills = 0;  ///< for want of memory, while it ran
  std::string out, err;
};

inline std::string read_to_end(int fd) { return read_all(fd, 256u << 20, "stream"); }

class Running {
 public:
  Running(const std::string& id, oci::Spec spec)
      : id_(id), control_(guest().access(), 20s, ErrorWords::of_the_agent) {
    StreamTokens tokens = Pipes<std::string>{random_hex(16), random_hex(16), random_hex(16)};
    auto sockets = open_streams(guest().access(), tokens, 20s);
    auto& pipes = std::get<Pipes<UniqueFd>>(sockets);
    in_ = std::move(*pipes.in);
    out_ = std::move(*pipes.out);
    err_ = std::move(*pipes.err);
    const CreateContainer request{id, std::move(spec), std::move(tokens)};
    control_.call(request, 30s);
  }
  void own() {
    socket_ = control_.release();
    write_frame(socket_.get(), encode(make_request(77, OwnProcess{{id_, {}}})));
    const auto answer = read_frame(socket_.get());
    REQUIRE(answer);
    REQUIRE(std::holds_alternative<nlohmann::json>(decode_response(*answer).outcome));
  }
  void start() { client().call(StartProcess{{id_, {}}}, std::chrono::seconds{60}); }
  void send_stdin(const std::string& text) {
    write_all(in_.get(), text);
    in_.reset();
  }
  std::string read_line() const {
    std::string line;
    for (char letter = 0; ::read(out_.get(), &letter, 1) == 1 && letter != '\n';) line += letter;
    return line;
  }
  Ended finish() {
    Ended outcome;
    std::thread err_reader([&] { outcome.err = read_to_end(err_.get()); });
    outcome.out = read_to_end(out_.get());
    err_reader.join();
    outcome.status = wait_exit();
    outcome.kills = kills_;
    return outcome;
  }
  /// Counts kills for want of memory, of which the owner is told before.
  int wait_exit() {
    for (;; ++kills_) {
      const auto frame = read_frame(socket_.get());
      REQUIRE(frame);
      const Request notification = decode_request(*frame);
      if (notification.is<ContainerEvent>()) continue;
      REQUIRE(notification.is<ProcessExited>());
      return notification.params.get<ProcessExited>().status;
    }
  }
  int socket() const { return socket_.get(); }
  void drop_connection() { socket_.reset(); }

 private:
  std::string id_;
  AgentClient control_;
  UniqueFd in_, out_, err_, socket_;
  int kills_ = 0;
};

inline std::string new_id() {
  const std::string id = "test-" + random_hex(4);
  guest().make_rootfs(id);
  client();  // holds the guest up between cases
  return id;
}

inline Ended run(oci::Spec (*adjust)(oci::Spec), std::vector<std::string> args,
                 const std::string& input = "") {
  const std::string id = new_id();
  Running container(id, adjust(make_spec(id, std::move(args))));
  container.own();
  container.start();
  container.send_stdin(input);
  Ended outcome = container.finish();
  client().call(DeleteContainer{id}, 20s);
  return outcome;
}

inline oci::Spec as_is(oci::Spec spec) { return spec; }

inline Ended shell(const std::string& script, oci::Spec (*adjust)(oci::Spec) = as_is) {
  return run(adjust, {"sh", "-c", script});
}

inline std::string create_error(oci::Spec spec, const std::string& id) {
  try {
    client().call(CreateContainer{id, std::move(spec), {}}, 30s);
  } catch (const Error& error) {
    return error.what();
  }
  client().call(DeleteContainer{id}, 20s);
  return "no error";
}

}  // namespace husk::test
