// SPDX-License-Identifier: Apache-2.0
#include "test/lib/runtime/fake_vm.hpp"

#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <thread>

#include "lib/base/directory_lock.hpp"
#include "lib/base/error.hpp"
#include "lib/base/files.hpp"
#include "lib/base/unique_fd.hpp"
#include "lib/base/unix_address.hpp"
#include "lib/guestcomm/protocol/share.hpp"

namespace husk::test {

using namespace std::chrono_literals;

namespace {

/// As libvirt's: in this namespace, and gone with who holds it.
UniqueFd make_tap(const std::string& name) {
  UniqueFd tap{check_sys(::open("/dev/net/tun", O_RDWR | O_CLOEXEC), "open /dev/net/tun")};
  ifreq request{};
  name.copy(request.ifr_name, sizeof request.ifr_name - 1);
  request.ifr_flags = IFF_TAP | IFF_NO_PI;
  check_sys(::ioctl(tap.get(), TUNSETIFF, &request), "make a tap");
  return tap;
}

UniqueFd connect_to(const std::filesystem::path& path) {
  UniqueFd socket{check_sys(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket")};
  const sockaddr_un name = unix_address(path);
  check_sys(::connect(socket.get(), reinterpret_cast<const sockaddr*>(&name), sizeof name),
            "connect to " + path.string());
  return socket;
}

/// Asks the server of the share for its features (vhost-user, VHOST_USER_GET_FEATURES), as QEMU does before libvirt's start
/// returns: an answer comes once the server has all its processes.
void ask_for_features(int socket) {
  constexpr std::array<std::uint32_t, 3> request{1, 1, 0};  // the request, version 1, no payload
  std::array<char, sizeof request + sizeof(std::uint64_t)> reply{};
  if (::send(socket, request.data(), sizeof request, MSG_NOSIGNAL) != sizeof request ||
      ::recv(socket, reply.data(), reply.size(), MSG_WAITALL) != static_cast<ssize_t>(reply.size()))
    throw Error(Errc::system, "the server of the share does not answer");
}

std::vector<int> numbers_of(const std::vector<UniqueFd>& descriptors) {
  std::vector<int> numbers;
  for (const UniqueFd& one : descriptors) numbers.push_back(one.get());
  return numbers;
}

}  // namespace

hypervisor::StartedVm FakeHypervisor::start(const hypervisor::VmConfig& config) {
  if (machine_.fault == Fault::start_throws) throw Error(Errc::system, "no such machine type");
  const std::filesystem::path vsock = config.vsock.vhost_user_socket.value().parent_path();
  // As the guest learns it: from its share.
  const std::string secret = read_file(config.shared_directories.at(0).socket.parent_path() /
                                           "shared" / guestcomm::share_secret_file,
                                       100);
  std::vector<UniqueFd> taps;  // the child's
  for (const hypervisor::NetworkCard& card : config.network_cards)
    taps.push_back(make_tap(card.tap));
  const std::filesystem::path directory = config.kernel.parent_path();
  machine_.record_at_start = read_file(directory / "vm.json", 10'000);
  machine_.was_locked_at_start = is_locked(directory);
  // As QEMU: the server of the share starts with this connection, and ends with it.
  const UniqueFd files = connect_to(config.shared_directories.at(0).socket);
  ask_for_features(files.get());
  const pid_t child = check_sys(::fork(), "fork the fake VM");
  if (child == 0) {
    std::vector<int> kept = numbers_of(taps);
    kept.push_back(files.get());
    const bool stays = config.kernel_arguments.find("husk.stay") != std::string::npos ||
                       config.kernel_arguments.find("husk.spare") != std::string::npos;
    run_fake_vm(machine_.fault, stays, vsock / "device/vsock.sock", secret, machine_.journal,
                config.console_log, kept);
  }
  machine_.vms.push_back(child);
  hypervisor::StartedVm vm{
      .name = config.name, .process = identify_process(child).value(), .cid = {}};
  if (machine_.fault == Fault::ends_at_once) {
    ::kill(child, SIGKILL);
    while (is_alive(vm.process)) std::this_thread::sleep_for(1ms);
  }
  return vm;
}

void FakeHypervisor::destroy(const std::string& name) { machine_.destroyed.push_back(name); }

}  // namespace husk::test
