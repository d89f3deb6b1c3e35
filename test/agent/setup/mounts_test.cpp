// SPDX-License-Identifier: Apache-2.0
// Mounts, masked paths and devices in a root, in a mount namespace of a child.
#include "agent/setup/mounts.hpp"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <filesystem>
#include <sstream>

#include "agent/setup/devices.hpp"
#include "agent/setup/rootfs.hpp"
#include "agent/setup/shared_files.hpp"
#include "agent/setup/volumes.hpp"
#include "test/agent/setup/in_child.hpp"

using namespace husk;
using namespace husk::agent;
using namespace husk::test;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::StartsWith;
namespace fs = std::filesystem;

namespace {

void put_file(const fs::path& path, const std::string& text) {
  const UniqueFd file{::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644)};
  if (!file) throw_errno("write " + path.filename().string());
  write_all(file.get(), text);
}

/// An image's root, and a folder of sources outside of it.
struct MountBench {
  fs::path top, root, source;

  MountBench() {
    std::string pattern = "/tmp/husk-mounts-XXXXXX";
    REQUIRE(::mkdtemp(pattern.data()) != nullptr);
    top = pattern;
    root = top / "root";
    source = top / "source";
    fs::create_directory(root);
    fs::create_directories(source / "below");
    put_file(source / "file", "of the host");
  }
  MountBench(const MountBench&) = delete;
  MountBench& operator=(const MountBench&) = delete;
  ~MountBench() { fs::remove_all(top); }

  UniqueFd open_root() const {
    return UniqueFd{check_sys(::open(root.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC), "open")};
  }
  oci::Mount bind(const std::string& from, const std::string& to,
                  std::vector<std::string> options = {"rbind"}) const {
    oci::Mount made;
    made.destination = to;
    made.source = source / from;
    made.options = std::move(options);
    return made;
  }
  /// What `look` returns in a child where the mounts are made.
  template <class F>
  std::string with(const std::vector<oci::Mount>& mounts, F&& look) const {
    return in_own_namespaces(CLONE_NEWNS, [&] {
      oci::Spec spec;
      spec.mounts = mounts;
      seal_mounts(apply_mounts(open_root().get(), spec));
      return look();
    });
  }
  std::string failure(const oci::Mount& mount) const {
    return with({mount}, [] { return std::string("mounted"); });
  }
  /// "type options" of the topmost mount at a path of the root; empty: there is none.
  std::string shown(const std::string& path) const {
    std::istringstream lines(read_file("/proc/self/mounts", 1u << 20));
    std::string found;
    for (std::string line; std::getline(lines, line);) {
      std::istringstream words(line);
      std::string name, place, type, options;
      words >> name >> place >> type >> options;
      if (place == (root / path).string()) found = type + " " + options;
    }
    return found;
  }
};

oci::Mount filesystem(const std::string& type, const std::string& to,
                      std::vector<std::string> options = {}) {
  oci::Mount made;
  made.destination = to;
  made.type = type;
  made.options = std::move(options);
  return made;
}

std::string error_of_writing(const fs::path& path) {
  try {
    put_file(path, "x");
  } catch (const Error& error) {
    return errno_text(error.sys_errno());
  }
  return "written";
}

}  // namespace

TEST_CASE("mounts: options reach the file system, and ro comes last", "[root]") {
  SKIP_UNLESS_ROOT();
  const MountBench bench;
  const std::vector<oci::Mount> mounts{
      filesystem("tmpfs", "/dev", {"ro", "nosuid", "noexec", "size=64k", "mode=750"}),
      bench.bind("file", "/dev/inner/file"),  // into one that is to be read-only
      filesystem("mqueue", "/dev/mqueue", {"nodev"})};
  CHECK_THAT(bench.with(mounts, [&] { return bench.shown("dev"); }),
             StartsWith("tmpfs ro,nosuid,noexec") && ContainsSubstring("size=64k") &&
                 ContainsSubstring("mode=750"));
  CHECK_THAT(bench.with(mounts, [&] { return bench.shown("dev/mqueue"); }),
             StartsWith("mqueue rw,nodev"));
  CHECK(bench.with(mounts, [&] { return read_file(bench.root / "dev/inner/file", 64); }) ==
        "of the host");
  CHECK(bench.with(mounts, [&] { return error_of_writing(bench.root / "dev/new"); }) ==
        "read-only file system");
}

TEST_CASE("mounts: bind makes its mount point as a file or a directory", "[root]") {
  SKIP_UNLESS_ROOT();
  const MountBench bench;
  const std::string seen =
      bench.with({bench.bind("file", "/a/b/file"), bench.bind("below", "/c/d/")}, [&] {
        return read_file(bench.root / "a/b/file", 64) + (bench.shown("c/d").empty() ? "" : ", too");
      });
  CHECK(seen == "of the host, too");
  CHECK(fs::is_regular_file(bench.root / "a/b/file"));
  CHECK(fs::is_empty(bench.root / "a/b/file"));
  CHECK(fs::is_directory(bench.root / "c/d"));
}

TEST_CASE("mounts: a link that leads nowhere is followed inside the root, as runc does", "[root]") {
  SKIP_UNLESS_ROOT();
  struct Case {
    const char *link, *target, *destination, *made;
  };
  for (const Case& one :
       {Case{"etc-resolv", "/run/systemd/resolve/stub", "/etc-resolv", "run/systemd/resolve/stub"},
        Case{"relative", "new/file", "/relative", "new/file"},
        Case{"var-run", "run", "/var-run/daemon/socket", "run/daemon/socket"},
        Case{"up", "../../../../away/./x/../y", "/up", "away/y"},
        Case{"gone", "/none", "/gone/../beside", "beside"}}) {
    CAPTURE(one.link);
    const MountBench bench;
    fs::create_symlink(one.target, bench.root / one.link);
    CHECK(bench.with({bench.bind("file", one.destination)},
                     [&] { return read_file(bench.root / one.made, 64); }) == "of the host");
    CHECK(fs::is_regular_file(bench.root / one.made));
    CHECK(fs::is_symlink(bench.root / one.link));
  }
  const MountBench bench;
  fs::create_symlink(bench.source, bench.root / "outside");
  const fs::path made = bench.root / bench.source.relative_path() / "new";
  CHECK(bench.with({bench.bind("below", "/outside/new")}, [] { return std::string("mounted"); }) ==
        "mounted");
  CHECK(fs::is_directory(made));
  CHECK_FALSE(fs::exists(bench.source / "new"));
  fs::create_symlink("ring-b", bench.root / "ring-a");
  fs::create_symlink("ring-a", bench.root / "ring-b");
  CHECK_THAT(bench.failure(bench.bind("file", "/ring-a/x")),
             ContainsSubstring("too many levels of symbolic links"));
  // A ring that the kernel does not see, as it stops where something is missing.
  fs::create_symlink("none/../loop", bench.root / "loop");
  CHECK_THAT(bench.failure(bench.bind("file", "/loop")),
             ContainsSubstring("open /loop: too many levels of symbolic links"));
}

TEST_CASE("mounts: bind, rbind, ro and rro differ in what is below", "[root]") {
  SKIP_UNLESS_ROOT();
  const MountBench bench;
  const auto below = [&](std::vector<std::string> options) {
    return in_own_namespaces(CLONE_NEWNS, [&] {
      check_sys(::mount("tmpfs", (bench.source / "below").c_str(), "tmpfs", 0, ""), "mount");
      put_file(bench.source / "below/inner", "");
      oci::Spec spec;
      spec.mounts = {bench.bind("", "/x", options)};
      apply_mounts(bench.open_root().get(), spec);
      const bool is_there = fs::exists(bench.root / "x/below/inner");
      return std::string(is_there ? "there" : "not there") + ", " +
             error_of_writing(bench.root / "x/new") + ", " +
             error_of_writing(bench.root / "x/below/new") + ", " +
             error_of_writing(bench.source / "new");
    });
  };
  const std::string refused = "read-only file system";
  CHECK(below({"rbind"}) == "there, written, written, written");
  CHECK(below({"bind"}) == "not there, written, written, written");
  CHECK(below({"rbind", "ro"}) == "there, " + refused + ", written, written");
  CHECK(below({"rbind", "rro"}) == "there, " + refused + ", " + refused + ", written");
  CHECK(below({"bind", "ro", "rw"}) == "not there, written, written, written");
}

TEST_CASE("mounts: remount changes one that is there", "[root]") {
  SKIP_UNLESS_ROOT();
  const MountBench bench;
  CHECK(bench.with({filesystem("tmpfs", "/t"), filesystem("", "/t", {"remount", "ro", "nodev"})},
                   [&] { return bench.shown("t").substr(0, 14); }) == "tmpfs ro,nodev");
  CHECK(bench.failure(filesystem("", "/none", {"remount", "ro"})) ==
        "error: mount  at /none: open /none: no such file or directory");
}

TEST_CASE("mounts: propagation is the container's mount's own", "[root]") {
  SKIP_UNLESS_ROOT();
  const MountBench bench;
  const auto tags = [&](std::vector<std::string> options) {
    return bench.with({bench.bind("below", "/p", std::move(options))}, [&] {
      std::istringstream lines(read_file("/proc/self/mountinfo", 1u << 20));
      std::string tag = "none";
      for (std::string line; std::getline(lines, line);)
        if (line.find((bench.root / "p").string() + " ") != std::string::npos)
          tag = line.find("shared:") != std::string::npos      ? "shared"
                : line.find("unbindable") != std::string::npos ? "unbindable"
                                                               : "private";
      return tag;
    });
  };
  CHECK(tags({"rbind"}) == "private");
  CHECK(tags({"rbind", "rshared"}) == "shared");
  CHECK(tags({"bind", "unbindable"}) == "unbindable");
}

TEST_CASE("mounts: each failure names source, destination and reason", "[root]") {
  SKIP_UNLESS_ROOT();
  const MountBench bench;
  put_file(bench.root / "plain", "");
  oci::Mount mapped = bench.bind("file", "/x");
  mapped.uid_mappings = {{0, 1000, 1}};
  CHECK(bench.failure(filesystem("ext4", "/x")) ==
        "error: mount ext4 at /x: file system type ext4 is not supported");
  CHECK(bench.failure(filesystem("overlay", "/x", {"lowerdir=/"})) ==
        "error: mount overlay at /x: file system type overlay is not supported");
  CHECK_THAT(bench.failure(mapped), ContainsSubstring("id-mapped mounts are not supported"));
  CHECK(bench.failure(bench.bind("gone", "/x")) ==
        "error: mount " + (bench.source / "gone").string() + " at /x: open " +
            (bench.source / "gone").string() + ": no such file or directory");
  CHECK_THAT(bench.failure(bench.bind("below", "/plain/x")),
             ContainsSubstring("at /plain/x: ") && ContainsSubstring("not a directory"));
  CHECK_THAT(bench.failure(bench.bind("below", "/")),
             ContainsSubstring("at /: mountpoint is on the top of rootfs"));
  CHECK_THAT(bench.failure(filesystem("tmpfs", "/x", {"size=much"})),
             StartsWith("error: mount tmpfs at /x: mount option size=much") &&
                 ContainsSubstring("Bad value") && ContainsSubstring(": invalid argument"));
  CHECK_THAT(bench.failure(filesystem("tmpfs", "/x", {"colour=red"})),
             StartsWith("error: mount tmpfs at /x: mount option colour=red") &&
                 ContainsSubstring("Unknown parameter"));
}

TEST_CASE("masked paths: directories are empty, files are /dev/null, what is not there is no error",
          "[root]") {
  SKIP_UNLESS_ROOT();
  const MountBench bench;
  fs::create_directories(bench.root / "one/inner");
  fs::create_directory(bench.root / "two");
  put_file(bench.root / "secret", "key");
  fs::create_symlink("secret", bench.root / "link");
  const std::string seen = in_own_namespaces(CLONE_NEWNS, [&] {
    const UniqueFd null{check_sys(::open("/dev/null", O_PATH | O_CLOEXEC), "open")};
    const UniqueFd root = bench.open_root();
    apply_masked_paths(root.get(), null.get(),
                       {"/one", "/none", "/secret/below", "/two", "/link", "/one/inner"});
    const bool are_empty = fs::is_empty(bench.root / "one") && fs::is_empty(bench.root / "two");
    const int changed = ::chmod((bench.root / "secret").c_str(), 0777);
    return std::string(are_empty ? "empty" : "full") + ", " + read_file(bench.root / "secret", 64) +
           "." + ", " + (changed == 0 ? "mode changed" : errno_text(errno)) + ", " +
           error_of_writing(bench.root / "two/new");
  });
  CHECK(seen == "empty, ., read-only file system, read-only file system");
}

TEST_CASE("read-only paths: with what is below, and what is not there is no error", "[root]") {
  SKIP_UNLESS_ROOT();
  const MountBench bench;
  fs::create_directories(bench.root / "ro/tmp");
  put_file(bench.root / "file", "");
  CHECK(bench.with({filesystem("tmpfs", "/ro/tmp")}, [&] {
    apply_readonly_paths(bench.open_root().get(), {"/ro", "/none", "/file/none", "/file"});
    return error_of_writing(bench.root / "ro/new") + ", " + error_of_writing(bench.root / "file") +
           ", " + error_of_writing(bench.root / "ro/tmp/new") + ", " +
           error_of_writing(bench.root / "new");
  }) == "read-only file system, read-only file system, written, written");
}

TEST_CASE("rootfs: after the pivot nothing of the old root is left", "[root]") {
  SKIP_UNLESS_ROOT();
  const MountBench bench;
  put_file(bench.root / "own", "");
  const std::string seen = in_own_namespaces(CLONE_NEWNS, [&] {
    oci::Spec spec;
    spec.root.emplace();
    spec.root->path = bench.root;
    const UniqueFd root = apply_rootfs(spec);
    apply_pivot(root.get());
    apply_rootfs_propagation(root.get(), std::string("rslave"));
    apply_readonly_root(root.get());
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator("/")) names.push_back(entry.path());
    return (names.size() == 1 ? names[0] : "more") + ", " + fs::current_path().string() + ", " +
           error_of_writing("/new");
  });
  CHECK(seen == "/own, /, read-only file system");
  CHECK_THROWS_WITH(apply_rootfs_propagation(-1, std::string("public")),
                    "linux.rootfsPropagation: unknown value public");
  CHECK_NOTHROW(apply_rootfs_propagation(-1, {}));
}

TEST_CASE("devices: nodes and links of every container, unless /dev is the caller's", "[root]") {
  SKIP_UNLESS_ROOT();
  const MountBench bench;
  fs::create_directory(bench.root / "dev");
  put_file(bench.root / "dev/ptmx", "an image's own");
  fs::create_symlink("elsewhere", bench.root / "dev/stdin");
  oci::Spec spec;
  spec.mounts = {bench.bind("below", "/dev")};
  apply_devices(bench.open_root().get(), spec, false);
  CHECK(std::distance(fs::directory_iterator(bench.root / "dev"), {}) == 2);
  spec.mounts = {filesystem("tmpfs", "/dev"), bench.bind("below", "/dev/below")};
  oci::Device own_zero;
  own_zero.type = "c";
  own_zero.path = "/dev/zero";
  own_zero.major = 1;
  own_zero.minor = 3;
  own_zero.file_mode = 0600;
  spec.linux_.devices = {own_zero};
  ::umask(0);  // as in the child of the agent
  apply_devices(bench.open_root().get(), spec, false);
  ::umask(022);
  const auto number_of = [&](const char* name) {
    struct stat status {};
    REQUIRE(::lstat((bench.root / "dev" / name).c_str(), &status) == 0);
    CHECK(S_ISCHR(status.st_mode));
    return std::array{gnu_dev_major(status.st_rdev), gnu_dev_minor(status.st_rdev),
                      status.st_mode & 07777};
  };
  CHECK(number_of("null") == std::array{1u, 3u, 0666u});
  CHECK(number_of("tty") == std::array{5u, 0u, 0666u});
  CHECK(number_of("urandom") == std::array{1u, 9u, 0666u});
  CHECK(number_of("zero") == std::array{1u, 3u, 0600u});
  CHECK(fs::read_symlink(bench.root / "dev/ptmx") == "pts/ptmx");
  CHECK(fs::read_symlink(bench.root / "dev/fd") == "/proc/self/fd");
  CHECK(fs::read_symlink(bench.root / "dev/stderr") == "/proc/self/fd/2");
  CHECK(fs::read_symlink(bench.root / "dev/stdin") == "elsewhere");
}

TEST_CASE("devices: in a user namespace they are the agent's own, bound", "[root]") {
  SKIP_UNLESS_ROOT();
  const MountBench bench;
  const std::string seen = bench.with({}, [&] {
    apply_devices(bench.open_root().get(), {}, true);
    struct stat status {};
    check_sys(::stat((bench.root / "dev/full").c_str(), &status), "stat");
    return std::to_string(gnu_dev_minor(status.st_rdev)) +
           (bench.shown("dev/full").empty() ? "" : " bound");
  });
  CHECK(seen == "7 bound");
  CHECK(fs::is_regular_file(bench.root / "dev/full"));  // without the child's mounts
}

TEST_CASE("shared files: those of one container are found and let go, the last mount first",
          "[root]") {
  SKIP_UNLESS_ROOT();
  const std::string seen = in_own_namespaces(CLONE_NEWNS, [] {
    const auto mount = [](const std::string& path) {
      fs::create_directories(path);
      check_sys(::mount("tmpfs", path.c_str(), "tmpfs", 0, ""), "mount " + path);
    };
    for (const char* path : {"/run", "/run/husk/shared", "/run/husk/shared/one",
                             "/run/husk/shared/one/rootfs", "/run/husk/shared/one/rootfs/var",
                             "/run/husk/shared/oneself/rootfs", "/run/husk/shared/two/one/x"})
      mount(path);
    std::string found;
    const auto mounts = mounts_in_share("one");
    for (const fs::path& path : mounts) found += path.string() + " ";
    let_go_of_files(mounts);
    return found + std::to_string(mounts_in_share("one").size()) +
           std::to_string(mounts_in_share("oneself").size()) +
           std::to_string(mounts_in_share("two").size());
  });
  CHECK(seen == "/run/husk/shared/one/rootfs /run/husk/shared/one/rootfs/var 011");
  forget_shared_files(-1);  // of a process that has gone: no error
}

TEST_CASE("volumes: those that no container's link leads to are let go", "[root]") {
  SKIP_UNLESS_ROOT();
  const std::string seen = in_own_namespaces(CLONE_NEWNS, [] {
    const fs::path share = "/run/husk/shared", volumes = share / "@volumes";
    const auto mount = [](const fs::path& path) {
      fs::create_directories(path);
      check_sys(::mount("tmpfs", path.c_str(), "tmpfs", 0, ""), "mount " + path.string());
    };
    mount("/run");
    for (const char* path : {"1-2-used", "1-2-used/below", "1-2-left", "1-2-left/below"})
      mount(volumes / path);
    mount(share / "one/rootfs");
    fs::create_directories(share / "one/mounts");
    fs::create_symlink("../../@volumes/1-2-used", share / "one/mounts/0");
    // A source that is no link, or is gone, uses no volume: as with the tmpfs of a pod's /dev/shm.
    let_go_of_volumes(mounted_volumes(), {share / "one/mounts/0", "/run", share / "gone/mounts/0"});
    std::string left;
    for (const fs::path& path : mounted_volumes()) left += path.filename().string() + " ";
    return left + std::to_string(mounts_in_share("one").size());
  });
  CHECK(seen == "1-2-used below 1");
}
