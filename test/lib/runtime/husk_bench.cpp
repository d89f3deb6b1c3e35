// SPDX-License-Identifier: Apache-2.0
#include "test/lib/runtime/husk_bench.hpp"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <csignal>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <thread>

#include "lib/base/error.hpp"
#include "lib/base/files.hpp"
#include "lib/base/mount_namespace.hpp"
#include "lib/base/mountinfo.hpp"
#include "lib/base/random_id.hpp"
#include "lib/guestcomm/link/guest_address.hpp"
#include "lib/handoff/vhost_sockets.hpp"
#include "lib/oci/example.hpp"
#include "lib/runtime/vm/vm_directory.hpp"
#include "test/lib/base/private_mounts.hpp"

namespace husk::test {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

constexpr auto patience = 20s;

void skip_where_it_cannot_run() {
  if (::geteuid() != 0) SKIP("needs root");
  if (guestcomm::has_vhost_vsock()) SKIP("this host has /dev/vhost-vsock, which has no fake");
  if (::access(handoff::vhost_device_program, X_OK) != 0)
    SKIP("vhost-device-vsock is not installed");
}

/// "pid (name)" of every process for which it is true.
template <typename F>
std::vector<std::string> processes_where(F&& wanted) {
  std::vector<std::string> found;
  for (const auto& entry : fs::directory_iterator("/proc")) {
    const pid_t pid = std::atoi(entry.path().filename().c_str());
    if (pid <= 0 || pid == ::getpid() || !wanted(entry.path())) continue;
    std::ifstream file(entry.path() / "comm");
    std::string name;
    std::getline(file, name);
    if (identify_process(pid)) found.push_back(std::to_string(pid) + " (" + name + ")");
  }
  return found;
}

std::string mount_namespace_of(const fs::path& process) {
  std::error_code gone;
  return fs::read_symlink(process / "ns/mnt", gone).string();
}

std::string content(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

void append(std::vector<std::string>& list, const std::vector<std::string>& more) {
  list.insert(list.end(), more.begin(), more.end());
}

/// A cgroup of that name in any hierarchy.
std::vector<std::string> cgroups_called(const std::string& name) {
  std::vector<std::string> found;
  std::error_code ignored;
  std::vector<fs::path> mounts{"/sys/fs/cgroup"};
  for (const auto& entry : fs::directory_iterator("/sys/fs/cgroup", ignored))
    mounts.push_back(entry.path());
  for (const fs::path& mount : mounts) {
    if (fs::exists(mount / name, ignored)) found.push_back((mount / name).string());
  }
  return found;
}

/// Detaches the VMs of the host's containers: below the new /run nobody could tell them from the test's.
void detach_vms_of_others() {
  const std::vector<MountEntry> table = load_mount_table();
  for (auto mount = table.rbegin(); mount != table.rend(); ++mount) {
    if (mount->mount_point.string().starts_with(runtime::vm_directories))
      ::umount2(mount->mount_point.c_str(), MNT_DETACH);
  }
}

oci::Spec first_spec(const std::string& name) {
  oci::Spec spec = oci::example_spec(false, 0, 0);
  spec.process->terminal = false;
  spec.process->args = {"/bin/" + name, "argument"};
  spec.linux_.cgroups_path = "/" + name + "/leaf";
  return spec;
}

}  // namespace

OwnRun::OwnRun() {
  skip_where_it_cannot_run();
  outside_.reset(check_sys(::open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC), "open namespace"));
  directory_.reset(check_sys(::open(".", O_PATH | O_DIRECTORY | O_CLOEXEC), "open ."));
  enter_private_mounts();
  detach_vms_of_others();
  check_sys(::mount("tmpfs", "/run", "tmpfs", 0, "mode=755"), "mount /run");
}

OwnRun::~OwnRun() {
  if (::setns(outside_.get(), CLONE_NEWNS) != 0 || ::fchdir(directory_.get()) != 0) std::abort();
}

HuskBench::HuskBench() : id("c1"), name_("husk-test-" + random_hex(4)) {
  spec = first_spec(name_);
  for (const char* directory : {"root", "bundle/rootfs/bin"})
    fs::create_directories(path(directory));
  for (const char* file : {"kernel", "initrd", "firmware"}) std::ofstream(path(file)) << file;
  config.accelerator = hypervisor::Accelerator::tcg;
  config.memory_mib = 128;
  config.boot_timeout = 10s;
  config.firmware = path("firmware");
  paths = {.program = HUSK_PROGRAM,
           .shim = HUSK_SHIM,
           .keeper = HUSK_KEEPER,
           .kernel = path("kernel"),
           .initrd = path("initrd")};
  machine.journal = path("journal");
  // The shim reads its caller's stdin, which is not the tests' to read.
  stdin_.reset(check_sys(::fcntl(0, F_DUPFD_CLOEXEC, 10), "save stdin"));
  const UniqueFd null{check_sys(::open("/dev/null", O_RDONLY | O_CLOEXEC), "open /dev/null")};
  check_sys(::dup2(null.get(), 0), "replace stdin");
}

HuskBench::~HuskBench() {
  try {
    runtime().remove(id, true);
  } catch (const std::exception& e) {
    UNSCOPED_INFO("delete: " << e.what());
  }
  for (const pid_t vm : machine.vms) {
    ::kill(vm, SIGKILL);
    ::waitpid(vm, nullptr, 0);
  }
  for (const std::string& process : look()) {
    if (const pid_t pid = std::atoi(process.c_str()); pid > 0) ::kill(pid, SIGKILL);
  }
  while (::waitpid(-1, nullptr, WNOHANG) > 0) continue;
  ::dup2(stdin_.get(), 0);
}

runtime::Runtime HuskBench::runtime() {
  const auto connect = [this](const hypervisor::HypervisorOptions&) {
    if (machine.fault == Fault::no_hypervisor)
      throw Error(Errc::unsupported, "libvirt is not installed");
    return std::make_unique<FakeHypervisor>(machine);
  };
  return {path("root"), config, paths, connect, kill_patience};
}

runtime::CreateRequest HuskBench::request() {
  std::ofstream(path("bundle/config.json")) << nlohmann::json(spec).dump();
  return {.id = id, .bundle = path("bundle"), .pid_file = {}, .streams = {}};
}

runtime::CreatedContainer HuskBench::create_and_start() {
  const runtime::CreatedContainer created = create();
  runtime().start(id);
  return created;
}

std::string HuskBench::text_in(const std::string& name) const { return content(path(name)); }

std::string HuskBench::vm_id() const { return runtime::StateStore(path("root")).load(id).vm_id; }

std::vector<std::string> HuskBench::journal() const {
  std::vector<std::string> lines;
  std::ifstream file(machine.journal);
  for (std::string line; std::getline(file, line);) lines.push_back(line);
  return lines;
}

bool HuskBench::await_journal(const std::string& line) const {
  const auto end = std::chrono::steady_clock::now() + patience;
  while (std::chrono::steady_clock::now() < end) {
    const auto lines = journal();
    if (std::find(lines.begin(), lines.end(), line) != lines.end()) return true;
    std::this_thread::sleep_for(5ms);
  }
  return false;
}

std::vector<std::string> HuskBench::look() const {
  std::vector<std::string> found;
  std::error_code ignored;
  if (fs::exists(path("root") / id, ignored)) found.push_back("state folder");
  for (const auto& entry : fs::directory_iterator("/run", ignored))
    found.push_back(entry.path().string());
  for (const auto& entry : fs::directory_iterator("/run/husk-vm", ignored))
    found.push_back(entry.path().string());
  const std::string mounts = content("/proc/self/mountinfo");
  if (mounts.find(scratch_.path().filename().string()) != std::string::npos ||
      mounts.find("/run/husk-vm") != std::string::npos)
    found.push_back("mounts: " + mounts);
  append(found, cgroups_called(name_));
  // The shim shows the container's arguments; VM, keeper and vsock device are in this namespace.
  const std::string here = mount_namespace_of("/proc/self");
  append(found, processes_where([&](const fs::path& process) {
           return mount_namespace_of(process) == here ||
                  content(process / "cmdline").find(name_) != std::string::npos;
         }));
  return found;
}

std::vector<std::string> HuskBench::left() const {
  const auto end = std::chrono::steady_clock::now() + patience;
  std::vector<std::string> found = look();
  // The keeper ends by itself, some moments after its VM.
  while (!found.empty() && std::chrono::steady_clock::now() < end) {
    std::this_thread::sleep_for(10ms);
    found = look();
  }
  return found;
}

UniqueFd copy_mount_namespace(unsigned long propagation) {
  UniqueFd made, own{::open("/proc/thread-self/ns/mnt", O_RDONLY | O_CLOEXEC)};
  in_mount_namespace(own.get(), [&] {
    check_sys(::unshare(CLONE_NEWNS), "unshare");
    check_sys(::mount(nullptr, "/", nullptr, MS_REC | propagation, nullptr), "change propagation");
    made.reset(check_sys(::open("/proc/thread-self/ns/mnt", O_RDONLY | O_CLOEXEC), "open ns/mnt"));
  });
  return made;
}

oci::Hook script_hook(const HuskBench& bench, const std::string& script) {
  return {.path = "/bin/sh",
          .args = {"sh", "-c", script},
          .env = std::vector<std::string>{"PATH=/usr/bin:/bin", "BENCH=" + bench.path("").string()},
          .timeout = {}};
}

std::string failure_text(const std::function<void()>& f) {
  try {
    f();
  } catch (const Error& e) {
    return e.what();
  }
  FAIL("nothing was thrown");
  return {};
}

}  // namespace husk::test
