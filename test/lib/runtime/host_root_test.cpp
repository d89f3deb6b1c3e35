// SPDX-License-Identifier: Apache-2.0
// The shim's root from an image whose symbolic links all lead to "the host", a scratch directory.
#include "lib/runtime/shim/host_root.hpp"

#include <sched.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <fstream>
#include <functional>
#include <sstream>

#include "lib/base/error.hpp"
#include "lib/base/files.hpp"
#include "test/lib/base/scratch.hpp"

using namespace husk;
using namespace husk::runtime;
using husk::test::Scratch;
namespace fs = std::filesystem;

namespace {

/// An image and a host, with a share as VmDirectory makes it. Its mounts are in the child only.
struct Hostile : Scratch {
  Hostile() {
    vm.directory = path() / "vm";
    for (const fs::path& directory : {vm.rootfs("c1"), vm.mount("c1", 0), path() / "image",
                                      path() / "host/proc", path() / "host/dev"})
      fs::create_directories(directory);
    std::ofstream(path() / "source") << "the container's";
    for (const char* file : {"host/passwd", "host/dev/console", "host/dev/null"})
      std::ofstream(path() / file) << "the host's";
    // Where the links lead from inside of the image.
    fs::create_directories(path() / "image" / path().relative_path());
    fs::copy(path() / "host", path() / "image" / path().relative_path() / "host",
             fs::copy_options::recursive);
    fs::remove(vm.mount("c1", 0));
    std::ofstream(vm.mount("c1", 0)) << "";
  }

  void link(const std::string& name, const fs::path& target) const {
    fs::create_directories((path() / "image" / name).parent_path());
    fs::create_symlink(target, path() / "image" / name);
  }

  void add(const std::string& type, const std::string& destination) {
    oci::Mount mount;
    mount.type = type;
    mount.destination = destination;
    spec.mounts.push_back(mount);
  }

  /// Every file of the host and what is in it.
  std::string host() const {
    std::ostringstream text;
    for (const auto& entry : fs::recursive_directory_iterator(path() / "host")) {
      text << entry.path().string();
      if (entry.is_regular_file()) text << ": " << read_file(entry.path(), 4096);
      text << "\n";
    }
    return text.str();
  }

  VmPaths vm{"0000cafe"};
  oci::Spec spec;
};

void bind_share(const Hostile& hostile) {
  check_sys(::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr), "make mounts private");
  check_sys(::mount((hostile.path() / "image").c_str(), hostile.vm.rootfs("c1").c_str(), nullptr,
                    MS_BIND, nullptr),
            "bind the image");
  check_sys(::mount((hostile.path() / "source").c_str(), hostile.vm.mount("c1", 0).c_str(), nullptr,
                    MS_BIND, nullptr),
            "bind the source");
}

[[noreturn]] void enter(const Hostile& hostile, const std::function<std::string()>& look, int out) {
  std::string text;
  try {
    bind_share(hostile);
    enter_host_root(std::get<NewShim>(plan_shim("c1", hostile.spec, hostile.vm, false).place).root);
    text = look();
  } catch (const std::exception& e) {
    text = std::string("failed: ") + e.what();
  }
  write_all(out, text);
  ::_exit(0);
}

/// What `look` sees from inside of the root, or "failed: " and the error. A child with a mount
/// namespace makes one with a pid namespace, as which proc is mounted.
std::string inside(const Hostile& hostile, const std::function<std::string()>& look) {
  int ends[2] = {};
  REQUIRE(::pipe(ends) == 0);
  const UniqueFd read_end{ends[0]};
  UniqueFd write_end{ends[1]};
  const pid_t child = ::fork();
  if (child == 0) {
    if (::unshare(CLONE_NEWNS | CLONE_NEWPID) != 0) ::_exit(1);
    const pid_t first = ::fork();
    if (first == 0) enter(hostile, look, write_end.get());
    ::waitpid(first, nullptr, 0);
    ::_exit(0);
  }
  write_end.reset();
  std::string text = read_all(read_end.get(), 65536, "the child");
  REQUIRE(::waitpid(child, nullptr, 0) == child);
  return text;
}

std::string first_line(const fs::path& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

}  // namespace

TEST_CASE("enter_host_root: links of the image lead to places in the image", "[runtime][root]") {
  if (::geteuid() != 0) SKIP("needs root");
  Hostile hostile;
  const fs::path host = hostile.path() / "host";
  std::string destination, seen_at = host / "passwd";
  SECTION("absolute") {
    hostile.link("etc", host);
    destination = "/etc/passwd";
  }
  SECTION("with more .. than there are folders") {
    hostile.link("a/b", fs::path("../../../../../../../..") / host.relative_path());
    destination = "/a/b/passwd";
  }
  SECTION("to /") {
    hostile.link("all", "/");
    destination = "/all" + (host / "passwd").string();
  }
  SECTION("of the file itself") {
    hostile.link("file", host / "passwd");
    destination = "/file";
  }
  SECTION("/dev") {
    hostile.link("dev", host / "dev");
    destination = "/dev/console";
    seen_at = host / "dev/console";
  }
  SECTION("/dev/console and /dev/null") {
    hostile.link("dev/console", host / "dev/console");
    hostile.link("dev/null", host / "dev/null");
    destination = "/dev/console";
    seen_at = host / "dev/console";
  }
  hostile.add("bind", destination);
  const std::string before = hostile.host();
  CHECK(inside(hostile, [&] { return first_line(seen_at); }) == "the container's");
  CHECK(hostile.host() == before);
}

TEST_CASE("enter_host_root: a link that leads nowhere in the image is not followed on the host",
          "[runtime][root]") {
  if (::geteuid() != 0) SKIP("needs root");
  Hostile hostile;
  const fs::path host = hostile.path() / "host";
  std::string destination;
  SECTION("a file") {
    hostile.link("file", host / "passwd");
    destination = "/file";
  }
  SECTION("a folder") {
    hostile.link("etc", host);
    destination = "/etc/new";
  }
  fs::remove_all(hostile.path() / "image" / host.relative_path());
  hostile.add("bind", destination);
  const std::string before = hostile.host();
  CHECK(inside(hostile, [] { return std::string("entered"); }).starts_with("failed: open /"));
  CHECK(hostile.host() == before);
}

TEST_CASE("enter_host_root: .. in a destination does not lead out", "[runtime][root]") {
  if (::geteuid() != 0) SKIP("needs root");
  Hostile hostile;
  const fs::path host = hostile.path() / "host";
  hostile.add("bind", "/../../.." + (host / "passwd").string());
  const std::string before = hostile.host();
  CHECK(inside(hostile, [&] { return first_line(host / "passwd"); }) == "the container's");
  CHECK(hostile.host() == before);
}

TEST_CASE("enter_host_root: proc is mounted in the image, wherever a link to its parent leads",
          "[runtime][root]") {
  if (::geteuid() != 0) SKIP("needs root");
  Hostile hostile;
  const fs::path host = hostile.path() / "host";
  hostile.link("all", host);
  hostile.add("none", "/data");  // number 0
  hostile.add("proc", "/all/proc");
  const std::string before = hostile.host();
  CHECK(inside(hostile, [&] { return first_line(host / "proc/1/comm").empty() ? "no" : "proc"; }) ==
        "proc");
  CHECK(hostile.host() == before);
}

TEST_CASE("enter_host_root: a /proc that is no directory is refused in runc's words",
          "[runtime][root]") {
  if (::geteuid() != 0) SKIP("needs root");
  Hostile hostile;
  SECTION("a link to a directory") { hostile.link("proc", hostile.path() / "host/proc"); }
  SECTION("a link to the root") { hostile.link("proc", "/"); }
  SECTION("a link to nowhere") { hostile.link("proc", "/not/there"); }
  SECTION("a file") { std::ofstream(hostile.path() / "image/proc") << "no directory"; }
  const std::string destination = GENERATE("/proc", "/proc/", "/proc/.", "//proc//");
  hostile.add("none", "/data");
  hostile.add("proc", destination);
  const std::string before = hostile.host();
  CHECK(inside(hostile, [] { return std::string("entered"); }) ==
        "failed: mount proc at " + destination +
            ": filesystem \"proc\" must be mounted on ordinary directory");
  CHECK(hostile.host() == before);
}

TEST_CASE("enter_host_root: nothing below proc can be written, whoever has user 0 there",
          "[runtime][root]") {
  if (::geteuid() != 0) SKIP("needs root");
  Hostile hostile;
  fs::create_directory(hostile.path() / "image/proc");
  hostile.add("none", "/data");  // number 0
  hostile.add("proc", "/proc");
  CHECK(inside(hostile, [] {
          const UniqueFd opened{::open("/proc/sys/kernel/core_pattern", O_WRONLY | O_CLOEXEC)};
          return opened ? std::string("writable") : errno_text(errno);
        }) == "read-only file system");
}

TEST_CASE("enter_host_root: a read-only bind is so where its source is another's and writable",
          "[runtime][root]") {
  if (::geteuid() != 0) SKIP("needs root");
  Hostile hostile;
  hostile.add("bind", "/file");
  const bool is_read_only = GENERATE(true, false);
  if (is_read_only) hostile.spec.mounts.back().options = {"rbind", "ro"};
  const auto write = [] {
    std::ofstream file("/file");
    return std::string(file << "changed" ? "written" : "refused");
  };
  CHECK(inside(hostile, write) == (is_read_only ? "refused" : "written"));
}
