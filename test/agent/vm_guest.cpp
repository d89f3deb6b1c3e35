// SPDX-License-Identifier: Apache-2.0
#include "test/agent/vm_guest.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <thread>

#include "lib/base/error.hpp"
#include "lib/base/files.hpp"
#include "lib/base/random_id.hpp"
#include "lib/guestcomm/link/listen.hpp"
#include "lib/guestcomm/protocol/share.hpp"
#include "lib/handoff/vhost_sockets.hpp"

namespace husk::test {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;

constexpr milliseconds boot_patience{90000};  // two cores, emulated, other tests beside it

[[noreturn]] void exec(const std::vector<std::string>& command, const fs::path& output) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  const int log = ::open(output.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
  const int null = ::open("/dev/null", O_RDONLY);
  ::dup2(null, 0);
  ::dup2(log, 1);
  ::dup2(log, 2);
  ::syscall(SYS_close_range, 3u, ~0u, 0);
  std::vector<char*> arguments;
  for (const std::string& one : command) arguments.push_back(const_cast<char*>(one.c_str()));
  arguments.push_back(nullptr);
  ::execvp(arguments[0], arguments.data());
  ::_exit(127);
}

void wait_for_file(const fs::path& path) {
  for (int i = 0; i < 500; ++i) {
    if (fs::exists(path)) return;
    std::this_thread::sleep_for(milliseconds{10});
  }
  throw Error(Errc::timed_out, path.string() + " does not appear");
}

std::vector<std::string> qemu_command(const fs::path& directory, const fs::path& vsock,
                                      std::uint32_t announce_port) {
  const std::string here = directory.string();
  return {"qemu-system-x86_64",
          "-nodefaults",
          "-no-user-config",
          "-display",
          "none",
          "-no-reboot",
          "-machine",
          "q35,accel=tcg,memory-backend=ram",
          "-cpu",
          "max",
          "-smp",
          "1",
          "-m",
          "512",
          "-object",
          "memory-backend-memfd,id=ram,size=512M,share=on",
          "-kernel",
          HUSK_GUEST_ASSETS_DIR "/vmlinuz",
          "-initrd",
          HUSK_GUEST_ASSETS_DIR "/initrd",
          "-append",
          "console=ttyS0 quiet panic=-1 reboot=t mitigations=off clearcpuid=cx16 no_timer_check "
          "husk.debug "
          "husk.announce=" +
              std::to_string(announce_port),
          "-serial",
          "file:" + here + "/console",
          "-chardev",
          "socket,id=fs,path=" + here + "/fs.sock",
          "-device",
          "vhost-user-fs-pci,chardev=fs,tag=husk",
          "-chardev",
          "socket,id=vs,path=" + vsock.string(),
          "-device",
          "vhost-user-vsock-pci,chardev=vs",
          "-netdev",
          "hubport,id=net,hubid=0",
          "-device",
          std::string("virtio-net-pci,netdev=net,romfile=,mac=") + guest_card};
}

}  // namespace

Child::Child(const std::vector<std::string>& command, const fs::path& output) : pid_(::fork()) {
  if (pid_ < 0) throw_errno("fork");
  if (pid_ == 0) exec(command, output);
  pidfd_.reset(static_cast<int>(::syscall(SYS_pidfd_open, pid_, 0)));
}

Child::~Child() {
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
}

bool Child::ends_within(milliseconds patience) const {
  struct pollfd ended {
    pidfd_.get(), POLLIN, 0
  };
  return ::poll(&ended, 1, static_cast<int>(patience.count())) == 1;
}

VmGuest::VmGuest(const std::vector<std::string>& more) {
  std::string pattern = "/tmp/husk-vm-test-XXXXXX";
  if (::mkdtemp(pattern.data()) == nullptr) throw_errno("mkdtemp");
  directory_ = pattern;
  share_ = directory_ / "share";
  fs::create_directory(share_);
  // What a test mounts in the share reaches virtiofsd, as in a VM's directory.
  check_sys(::mount(share_.c_str(), share_.c_str(), nullptr, MS_BIND, nullptr), "bind the share");
  check_sys(::mount(nullptr, share_.c_str(), nullptr, MS_SHARED, nullptr), "share the share");
  fs::create_directory(directory_ / handoff::device_folder);
  vsock_ = std::make_unique<handoff::VmKeeper>(directory_, handoff::VsockUsers{},
                                               handoff::KeeperSetup{.program = HUSK_KEEPER});
  access_.address = guestcomm::HybridAddress{vsock_->host_socket().string()};
  access_.secret = random_hex(16);
  write_file_atomic(share_ / guestcomm::share_secret_file, access_.secret + "\n", 0400);
  announcement_ = guestcomm::listen_hybrid(vsock_->host_socket(), 0, 0);
  const fs::path fs_socket = directory_ / "fs.sock";
  virtiofsd_ = std::make_unique<Child>(
      std::vector<std::string>{"/usr/lib/qemu/virtiofsd", "--socket-path=" + fs_socket.string(),
                               "-o", "source=" + share_.string(), "-o", "cache=auto", "-o",
                               "announce_submounts"},  // the default of Debian 13's
      directory_ / "virtiofsd.log");
  wait_for_file(fs_socket);
  std::vector<std::string> qemu =
      qemu_command(directory_, vsock_->device_socket(), announcement_->port());
  qemu.insert(qemu.end(), more.begin(), more.end());
  qemu_ = std::make_unique<Child>(qemu, directory_ / "qemu.log");
  try {
    announcement_->wait(access_.address, qemu_->pidfd(), boot_patience);
  } catch (const Error& error) {
    throw Error(error.code(), std::string(error.what()) + "; console: " + console());
  }
}

VmGuest::~VmGuest() {
  qemu_.reset();
  virtiofsd_.reset();
  announcement_.reset();
  vsock_.reset();
  ::umount2(share_.c_str(), MNT_DETACH);
  std::error_code ignored;
  fs::remove_all(directory_, ignored);
}

fs::path VmGuest::make_rootfs(const std::string& id) const {
  const fs::path rootfs = share_ / id / "rootfs";
  for (const char* name : {"bin", "dev", "proc", "sys", "tmp", "etc", "root"}) {
    fs::create_directories(rootfs / name);
  }
  fs::copy_file("/bin/busybox", rootfs / "bin/busybox");
  for (const char* applet :
       {"sh",       "cat",  "echo",  "id",        "ls",   "sleep", "true",   "false",    "env",
        "dd",       "stat", "mount", "grep",      "kill", "touch", "uname",  "readlink", "pwd",
        "hostname", "head", "date",  "sha256sum", "nc",   "mkdir", "ulimit", "ps",       "wc"}) {
    fs::create_symlink("busybox", rootfs / "bin" / applet);
  }
  return rootfs;
}

std::string VmGuest::console() const {
  std::string text;
  for (const char* name : {"qemu.log", "virtiofsd.log", "console"}) {
    if (fs::exists(directory_ / name)) text += read_file(directory_ / name, 16u << 20);
  }
  return text;
}

bool VmGuest::powers_off_within(milliseconds patience) const {
  return qemu_->ends_within(patience);
}

}  // namespace husk::test
