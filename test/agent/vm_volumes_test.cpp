// SPDX-License-Identifier: Apache-2.0
// Volumes of containers in a real guest, where virtiofsd announces that a volume is a mount.
#include <fcntl.h>
#include <sys/mount.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <filesystem>
#include <memory>

#include "test/agent/vm_container.hpp"

using Catch::Matchers::ContainsSubstring;
using namespace husk::guestcomm;
using namespace husk::test;
using namespace std::chrono_literals;

namespace fs = std::filesystem;

namespace {

/// A file system of the host, as a volume of the guest's.
class HostVolume {
 public:
  explicit HostVolume(const std::string& name)
      : name_(name), place_(guest().share() / share_volumes / name) {
    fs::create_directories(place_);
    husk::check_sys(::mount("volume", place_.c_str(), "tmpfs", 0, ""), "mount a volume");
    husk::write_new_file(AT_FDCWD, place_ / "lock", "", 0644);
  }
  HostVolume(const HostVolume&) = delete;
  HostVolume& operator=(const HostVolume&) = delete;
  ~HostVolume() { ::umount2(place_.c_str(), MNT_DETACH); }

  const std::string& name() const { return name_; }
  /// Whether virtiofsd lets go of all files within the time: the kernel refuses to unmount a file system in use.
  bool can_be_unmounted_within(std::chrono::milliseconds patience) const {
    const auto end = std::chrono::steady_clock::now() + patience;
    do {
      if (::umount2(place_.c_str(), 0) == 0) return true;
      std::this_thread::sleep_for(20ms);
    } while (std::chrono::steady_clock::now() < end);
    return false;
  }

 private:
  std::string name_;
  fs::path place_;
};

/// A container that has the volume as /v, and runs a script.
class Member {
 public:
  Member(const HostVolume& volume, const std::string& script) : id_(new_id()) {
    const fs::path links = guest().share() / id_ / "mounts";
    fs::create_directory(links);
    fs::create_symlink(fs::path("../..") / share_volumes / volume.name(), links / "0");
    husk::oci::Spec spec = make_spec(id_, {"sh", "-c", script});
    spec.mounts.push_back(mount("bind", "/v", {"rbind"}));
    spec.mounts.back().source = std::string(share_mount_point) + "/" + id_ + "/mounts/0";
    running_ = std::make_unique<Running>(id_, std::move(spec));
    running_->own();
    running_->start();
  }
  Running& running() { return *running_; }
  /// What the script has written until its end; the guest has nothing of the container any more.
  std::string end() {
    running_->send_stdin("");
    const Ended ended = running_->finish();
    client().call(DeleteContainer{id_}, 20s);
    return ended.out + ended.err;
  }

 private:
  std::string id_;
  std::unique_ptr<Running> running_;
};

const std::string identify = "stat -c %d:%i /v/lock";

/// Lines of the agent's mount table that name the volume.
std::string mounts_of_agent(const HostVolume& volume) {
  const std::string id = new_id();
  husk::oci::Spec spec =
      make_spec(id, {"sh", "-c", "grep @volumes/" + volume.name() + " /proc/1/mountinfo"});
  std::erase_if(spec.linux_.namespaces, [](const auto& ns) { return ns.type == "pid"; });
  spec.process->capabilities.emplace();
  auto& capabilities = *spec.process->capabilities;
  capabilities.bounding = capabilities.effective = capabilities.permitted = {"CAP_SYS_PTRACE"};
  Running container(id, std::move(spec));
  container.own();
  container.start();
  const Ended ended = container.finish();
  client().call(DeleteContainer{id}, 20s);
  return ended.out + ended.err;
}

}  // namespace

TEST_CASE("agent: a volume that is a mount of the host is one file system for all containers",
          "[vm]") {
  const HostVolume volume("one-for-all");
  Member first(volume, identify + "; cat");
  const std::string identity = first.running().read_line();
  REQUIRE_THAT(identity, ContainsSubstring(":"));
  CHECK(Member(volume, identify).end() == identity + "\n");
  // What one that has left lets go of is not the volume of the first.
  CHECK(Member(volume, identify).end() == identity + "\n");
  CHECK_THAT(mounts_of_agent(volume), ContainsSubstring("virtiofs"));
  CHECK(first.end().empty());
}

TEST_CASE("agent: a volume that no container has any more is the host's to unmount", "[vm]") {
  const HostVolume volume("left");
  CHECK(Member(volume, "echo text >/v/file; cat /v/file").end() == "text\n");
  CHECK(mounts_of_agent(volume).empty());
  CHECK(volume.can_be_unmounted_within(3s));
}
