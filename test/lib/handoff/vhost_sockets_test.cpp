// SPDX-License-Identifier: Apache-2.0
#include "lib/handoff/vhost_sockets.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <filesystem>
#include <fstream>

#include "lib/base/error.hpp"
#include "lib/base/unique_fd.hpp"
#include "test/lib/base/scratch.hpp"

using namespace husk;
using namespace husk::handoff;
using Catch::Matchers::ContainsSubstring;
namespace fs = std::filesystem;

namespace {

/// The folder of a VM's vsock, with that of the device in it.
class VsockFolder {
 public:
  VsockFolder() { fs::create_directory(path() / device_folder); }
  const fs::path& path() const { return scratch_.path(); }
  fs::path devices(const char* name) const { return path() / device_folder / name; }
  void give() const { give_vhost_socket(path().string(), 4242); }
  void remove() const {
    const UniqueFd directory(::open(path().c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    remove_vhost_sockets(directory.get());
  }

 private:
  test::Scratch scratch_;
};

void make(const fs::path& file) { std::ofstream(file) << "x"; }

uid_t owner_of(const fs::path& file) {
  struct stat status {};
  return ::lstat(file.c_str(), &status) == 0 ? status.st_uid : static_cast<uid_t>(-1);
}

}  // namespace

TEST_CASE("give_vhost_socket: moves the socket and gives it to the hypervisor", "[handoff][root]") {
  if (::geteuid() != 0) SKIP("needs root");
  const VsockFolder folder;
  make(folder.devices(vhost_socket));
  folder.give();
  CHECK_FALSE(fs::exists(folder.devices(vhost_socket)));
  CHECK(owner_of(folder.path() / vhost_socket) == 4242);
}

TEST_CASE("give_vhost_socket: a link that the device made is not followed", "[handoff][root]") {
  if (::geteuid() != 0) SKIP("needs root");
  const VsockFolder folder;
  const test::Scratch others;
  make(others.path() / "secret");
  fs::create_symlink(others.path() / "secret", folder.devices(vhost_socket));
  folder.give();
  CHECK(owner_of(others.path() / "secret") == 0);
  CHECK(owner_of(folder.path() / vhost_socket) == 4242);  // the link itself
}

TEST_CASE("give_vhost_socket: a failure names the folder and the step", "[handoff]") {
  const VsockFolder folder;
  CHECK_THROWS_WITH(folder.give(), "socket vhost.sock in " + folder.path().string() +
                                       ": move: no such file or directory");
  const fs::path link = folder.path() / "link";
  fs::create_directory_symlink(folder.path(), link);
  CHECK_THROWS_WITH(give_vhost_socket(link.string(), 4242), ContainsSubstring(": open: "));
}

TEST_CASE("remove_vhost_sockets: removes the sockets and nothing else", "[handoff]") {
  const VsockFolder folder;
  const fs::path other = folder.devices("other");
  for (const fs::path& file : {folder.path() / vhost_socket, folder.devices(vhost_socket),
                               folder.devices(vsock_socket), other})
    make(file);
  folder.remove();
  CHECK_FALSE(fs::exists(folder.path() / vhost_socket));
  CHECK(std::distance(fs::directory_iterator(other.parent_path()), {}) == 1);
  CHECK(fs::exists(other));
  CHECK_NOTHROW(folder.remove());
}

TEST_CASE("remove_vhost_sockets: what a socket's name leads to stays", "[handoff]") {
  const VsockFolder folder;
  const test::Scratch others;
  make(others.path() / "file");
  fs::create_symlink(others.path() / "file", folder.devices(vsock_socket));
  fs::create_directory(folder.devices(vhost_socket));
  folder.remove();
  CHECK(fs::exists(others.path() / "file"));
  CHECK_FALSE(fs::is_symlink(folder.devices(vsock_socket)));
}
