// SPDX-License-Identifier: Apache-2.0
// A process that holds the lock of its memory for ever: it maps a file of a FUSE file system whose server
// never answers a read. Who wants to look at its memory waits as long.
#pragma once

#include <fcntl.h>
#include <linux/fuse.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <cstring>
#include <string>

#include "lib/base/descriptors.hpp"
#include "lib/base/error.hpp"
#include "lib/base/files.hpp"
#include "lib/base/log.hpp"
#include "lib/base/unique_fd.hpp"
#include "test/lib/base/private_mounts.hpp"

namespace husk::test {

/// Answers what comes before a read, and says when one came. Ends with the other end of `life`: then the kernel
/// ends every read.
class SilentFuseServer {
 public:
  SilentFuseServer(int device, int reads, int life) : device_(device), reads_(reads), life_(life) {}
  void serve() const {
    int opened = 0;
    for (;;) {
      std::array<char, 1u << 17> request{};
      std::array<pollfd, 2> polled{pollfd{life_, POLLIN, 0}, pollfd{device_, POLLIN, 0}};
      if (::poll(polled.data(), polled.size(), -1) < 0 || polled[0].revents != 0) ::_exit(0);
      if (::read(device_, request.data(), request.size()) < 0) ::_exit(1);
      fuse_in_header header{};
      std::memcpy(&header, request.data(), sizeof header);
      if (header.opcode == FUSE_READ) {
        if (::write(reads_, "r", 1) != 1) ::_exit(1);
      } else if (header.opcode == FUSE_INIT) {
        fuse_init_out out{};
        out.major = FUSE_KERNEL_VERSION;
        out.minor = 31;
        out.max_write = 4096;
        answer(header, 0, out);
      } else if (header.opcode == FUSE_OPEN) {
        // The second time: mmap(2) then drops the pages, and waits for the one that is being read.
        fuse_open_out out{};
        if (++opened > 1) out.open_flags = FOPEN_DIRECT_IO | FOPEN_KEEP_CACHE;
        answer(header, 0, out);
      } else if (header.opcode == FUSE_GETATTR) {
        fuse_attr_out out{};
        out.attr_valid = 1000;
        out.attr.ino = FUSE_ROOT_ID;
        out.attr.mode = S_IFREG | 0600;
        out.attr.nlink = 1;
        out.attr.size = 4096;
        answer(header, 0, out);
      } else {
        answer(header, -ENOSYS, std::array<char, 0>{});
      }
    }
  }

 private:
  template <class Body>
  void answer(const fuse_in_header& request, int error, const Body& body) const {
    std::array<char, sizeof(fuse_out_header) + sizeof(Body)> bytes{};
    fuse_out_header header{};
    header.len = static_cast<std::uint32_t>(error == 0 ? bytes.size() : sizeof header);
    header.error = error;
    header.unique = request.unique;
    std::memcpy(bytes.data(), &header, sizeof header);
    std::memcpy(bytes.data() + sizeof header, &body, sizeof body);
    if (::write(device_, bytes.data(), header.len) < 0) return;  // it went away meanwhile
  }
  int device_, reads_, life_;
};

/// It ends with its owner, however that ends: while it is there, ps(1) and the like wait too, of the whole
/// machine. In a mount namespace and a process group of its own. Needs root and /dev/fuse.
class SilentProcess {
 public:
  explicit SilentProcess(const std::string& mount_point) {
    Pipe ready = make_pipe(), life = make_pipe();
    pid_ = check_sys(::fork(), "fork");
    if (pid_ == 0) {
      life.write_end.reset();
      be_silent(mount_point, ready.write_end.get(), life.read_end.get());
    }
    life_ = std::move(life.write_end);
    ready.write_end.reset();
    char mark = 0;
    if (::read(ready.read_end.get(), &mark, 1) != 1 || mark != ready_mark)
      throw Error(Errc::internal,
                  "a silent process:" + read_all(ready.read_end.get(), 1024, "why"));
    for (int i = 0; i < 10'000 && state() != 'D'; ++i) ::usleep(1000);
  }
  SilentProcess(const SilentProcess&) = delete;
  SilentProcess& operator=(const SilentProcess&) = delete;
  ~SilentProcess() {
    life_.reset();
    ::kill(-pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  pid_t pid() const noexcept { return pid_; }

 private:
  static constexpr char ready_mark = 'm';  ///< it maps the file next

  char state() const {
    const std::string text = read_file("/proc/" + std::to_string(pid_) + "/stat", 4096);
    return text.at(text.rfind(')') + 2);
  }
  [[noreturn]] static void be_silent(const std::string& mount_point, int ready, int life) noexcept {
    try {
      check_sys(::setpgid(0, 0), "setpgid");
      enter_private_mounts();
      start_server(mount_point, life);
      const UniqueFd file{check_sys(::open(mount_point.c_str(), O_RDONLY | O_CLOEXEC), "open")};
      write_all(ready, std::string_view(&ready_mark, 1));
      ::mmap(nullptr, 4096, PROT_READ, MAP_PRIVATE, file.get(), 0);
      throw Error(Errc::internal, "the file was mapped");
    } catch (const std::exception& error) {
      warn_on_failure([&] { write_all(ready, std::string(" ") + error.what()); });
      ::_exit(1);
    }
  }
  /// Returns when it does not answer a read.
  static void start_server(const std::string& mount_point, int life) {
    const UniqueFd device{check_sys(::open("/dev/fuse", O_RDWR | O_CLOEXEC), "open /dev/fuse")};
    const std::string options =
        "fd=" + std::to_string(device.get()) + ",rootmode=100600,user_id=0,group_id=0";
    check_sys(::mount("silent", mount_point.c_str(), "fuse", 0, options.c_str()), "mount");
    Pipe reads = make_pipe();
    if (check_sys(::fork(), "fork") == 0)
      SilentFuseServer(device.get(), reads.write_end.get(), life).serve();
    if (check_sys(::fork(), "fork") == 0) read_one_byte(mount_point, device.get());
    char mark = 0;
    if (::read(reads.read_end.get(), &mark, 1) != 1) throw_errno("wait for a read");
  }
  /// Without the device, whose last copy ends every read when the server is killed.
  [[noreturn]] static void read_one_byte(const std::string& path, int device) noexcept {
    ::close(device);
    const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    struct stat status {};  // the kernel asks for its size
    char byte = 0;
    if (::fstat(file, &status) == 0 && ::read(file, &byte, 1) < 0) ::_exit(1);
    ::_exit(0);
  }

  pid_t pid_ = -1;
  UniqueFd life_;
};

}  // namespace husk::test
