// SPDX-License-Identifier: Apache-2.0
// Network cards of VMs under the real libvirtd: whose tap is where, and that it goes.
#include <net/if.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <csignal>

#include "lib/base/error.hpp"
#include "lib/base/random_id.hpp"
#include "lib/base/subprocess.hpp"
#include "test/lib/hypervisor/libvirt_vm.hpp"

using namespace husk;
using namespace husk::hypervisor;
using namespace husk::test;
using namespace std::chrono_literals;

namespace {

/// What `ip` says.
std::string ip(std::vector<std::string> arguments) {
  Subprocess command;
  command.program = "/usr/sbin/ip";
  command.arguments = std::move(arguments);
  const SubprocessResult result = run_subprocess(command);
  INFO(result.output);
  REQUIRE(result.status == 0);
  return result.output;
}

/// A network namespace, removed with the test.
class Namespace {
 public:
  Namespace() { ip({"netns", "add", name_}); }
  Namespace(const Namespace&) = delete;
  Namespace& operator=(const Namespace&) = delete;
  ~Namespace() {
    Subprocess command;
    command.program = "/usr/sbin/ip";
    command.arguments = {"netns", "delete", name_};
    run_subprocess(command);
  }
  void take(const std::string& device, const std::string& new_name) const {
    ip({"link", "set", device, "netns", name_, "name", new_name});
  }
  bool has(const std::string& device) const {
    return ip({"-n", name_, "-o", "link"}).find(" " + device + ":") != std::string::npos;
  }

 private:
  std::string name_ = "husk-test-" + random_hex(4);
};

bool is_here(const NetworkCard& card) { return ::if_nametoindex(card.tap.c_str()) != 0; }

}  // namespace

TEST_CASE("libvirt: a network card's tap is there with the VM, and goes with it", "[libvirt]") {
  skip_without_assets();
  LibvirtVm vm;
  const std::string id = random_hex(4);
  vm.config().vcpus = 2;  // so each card has two queues
  vm.config().network_cards = {network_card(id, 0), network_card(id, 1)};
  const NetworkCard &stays = vm.config().network_cards[0], &moves = vm.config().network_cards[1];
  std::optional<guestcomm::VmKeeper> device;
  start_device(vm, device);
  const auto hypervisor = connect_libvirt({});
  const StartedVm started = hypervisor->start(vm.config());
  if (device) device->hand_over({.vm = started.process});
  REQUIRE(is_here(stays));
  REQUIRE(is_here(moves));

  const Namespace elsewhere;
  elsewhere.take(moves.tap, "husk0");
  CHECK(is_alive(started.process));
  CHECK_FALSE(is_here(moves));
  REQUIRE(elsewhere.has("husk0"));
  SECTION("destroyed") {}
  SECTION("killed") { REQUIRE(::kill(started.process.pid, SIGKILL) == 0); }
  hypervisor->destroy(started.name);
  CHECK(comes_true([&] { return !is_here(stays) && !is_here(moves); }, 5s));
  CHECK(comes_true([&] { return !elsewhere.has("husk0"); }, 5s));
  CHECK(traces_of(started.name) == std::set<std::string>{});
}

TEST_CASE("libvirt: a VM that did not start leaves no tap", "[libvirt]") {
  skip_without_assets();
  LibvirtVm vm;
  vm.config().network_cards = {network_card(random_hex(4), 0)};
  vm.config().firmware = "/run/husk-vm/no-firmware";
  std::optional<guestcomm::VmKeeper> device;
  start_device(vm, device);
  CHECK_THROWS_AS(connect_libvirt({})->start(vm.config()), Error);
  CHECK(comes_true([&] { return !is_here(vm.config().network_cards[0]); }, 5s));
}
