// SPDX-License-Identifier: Apache-2.0
#include "lib/runtime/caller/notify_socket.hpp"

#include <sys/socket.h>
#include <sys/un.h>

#include <array>
#include <catch2/catch_test_macros.hpp>
#include <cstring>
#include <filesystem>

#include "lib/base/files.hpp"
#include "test/lib/base/scratch.hpp"

using namespace husk;
using namespace husk::runtime;
namespace fs = std::filesystem;

namespace {

oci::Bundle bundle_with(std::vector<std::string> environment) {
  oci::Bundle bundle;
  bundle.directory = "/bundle";
  bundle.spec.process.emplace();
  bundle.spec.process->env = std::move(environment);
  return bundle;
}
void add_mount(oci::Bundle& bundle, const std::string& destination, const std::string& type,
               const std::string& source) {
  oci::Mount mount;
  mount.destination = destination;
  mount.type = type;
  mount.source = source;
  if (type == "bind") mount.options = {"rbind"};
  bundle.spec.mounts.push_back(mount);
}

UniqueFd listen_at(const fs::path& path) {
  UniqueFd socket{::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)};
  sockaddr_un name{};
  name.sun_family = AF_UNIX;
  std::strncpy(name.sun_path, path.c_str(), sizeof name.sun_path - 1);
  REQUIRE(::bind(socket.get(), reinterpret_cast<const sockaddr*>(&name), sizeof name) == 0);
  return socket;
}

}  // namespace

TEST_CASE("plan_notify: the socket is where its bind mount comes from", "[runtime]") {
  oci::Bundle bundle = bundle_with({"NOTIFY_SOCKET=/old", "NOTIFY_SOCKET=/run/notify/notify.sock"});
  CHECK_FALSE(plan_notify(bundle));
  add_mount(bundle, "/run", "tmpfs", "tmpfs");
  CHECK_FALSE(plan_notify(bundle));
  add_mount(bundle, "/run/notify", "bind", "notify");
  const auto plan = plan_notify(bundle);
  REQUIRE(plan);
  CHECK(plan->in_container == "/run/notify/notify.sock");
  CHECK(plan->source == "/bundle/notify");
  CHECK(plan->below == "notify.sock");
  add_mount(bundle, "/run/notify/notify.sock", "bind", "/host/socket");
  CHECK(plan_notify(bundle)->source == "/host/socket");
  CHECK(plan_notify(bundle)->below.empty());
  add_mount(bundle, "/run/notify", "tmpfs", "tmpfs");
  CHECK_FALSE(plan_notify(bundle));
}

TEST_CASE("plan_notify: nothing where nothing is asked for", "[runtime]") {
  for (const char* entry :
       {"PATH=/bin", "NOTIFY_SOCKET=", "NOTIFY_SOCKET=@abstract", "NOTIFY_SOCKET=relative/path"}) {
    oci::Bundle bundle = bundle_with({entry});
    add_mount(bundle, "/", "bind", "/host");
    CHECK_FALSE(plan_notify(bundle));
  }
  oci::Bundle bundle = bundle_with({"NOTIFY_SOCKET=/run/notify/../other/socket"});
  add_mount(bundle, "/run/notify", "bind", "/host");
  CHECK_FALSE(plan_notify(bundle));
}

TEST_CASE("connect_notify: to the caller's socket, or to none", "[runtime]") {
  const test::Scratch scratch;
  const fs::path folder = scratch.path() / "notify";
  fs::create_directory(folder);
  const NotifyPlan plan{"/run/notify/notify.sock", folder, "notify.sock"};
  CHECK_FALSE(connect_notify(plan));
  SECTION("one that listens") {
    const UniqueFd listener = listen_at(folder / "notify.sock");
    const UniqueFd socket = connect_notify(plan);
    REQUIRE(socket);
    REQUIRE(::send(socket.get(), "READY=1", 7, 0) == 7);
    std::array<char, 16> text{};
    CHECK(::recv(listener.get(), text.data(), text.size(), MSG_DONTWAIT) == 7);
  }
  SECTION("one that has gone") {
    listen_at(folder / "notify.sock").reset();
    CHECK_FALSE(connect_notify(plan));
  }
  SECTION("a file, or a way out") {
    write_file_atomic(folder / "notify.sock", "", 0600);
    CHECK_FALSE(connect_notify(plan));
    const UniqueFd outside = listen_at(scratch.path() / "outside");
    fs::remove(folder / "notify.sock");
    fs::create_symlink("../outside", folder / "notify.sock");
    CHECK_FALSE(connect_notify(plan));
  }
}
