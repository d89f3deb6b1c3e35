// SPDX-License-Identifier: Apache-2.0
// Network cards of VMs under the real libvirtd: whose tap is where, and that it goes.
#include <net/if.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <csignal>
#include <functional>

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
  vm.config().shape.vcpus = 2;  // so each card has two queues
  vm.config().network_cards = {network_card(id, 0), network_card(id, 1)};
  const NetworkCard &stays = vm.config().network_cards[0], &moves = vm.config().network_cards[1];
  std::optional<handoff::VmKeeper> device;
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
  std::optional<handoff::VmKeeper> device;
  start_device(vm, device);
  CHECK_THROWS_AS(connect_libvirt({})->start(vm.config()), Error);
  CHECK(comes_true([&] { return !is_here(vm.config().network_cards[0]); }, 5s));
}

namespace {

/// Boots a kernel that waits for its root file system for ever, without any user space: it finds
/// devices that come, and lets go of those that shall go.
class WaitingVm {
 public:
  explicit WaitingVm(unsigned ports) {
    vm_.config().network_ports = ports;
    vm_.config().kernel_arguments += " root=/dev/vda rootwait";
    start_device(vm_, device_);
    started_ = hypervisor_->start(vm_.config());
    if (device_) device_->hand_over({.vm = started_.process});
  }
  WaitingVm(const WaitingVm&) = delete;
  WaitingVm& operator=(const WaitingVm&) = delete;
  ~WaitingVm() { hypervisor_->destroy(started_.name); }

  const std::string& name() const { return started_.name; }
  Hypervisor& hypervisor() { return *hypervisor_; }
  void await_boot() {
    REQUIRE(comes_true([&] { return count_in_log("Waiting for root device") > 0; }, 60s));
  }
  /// The kernel has found so many virtio network cards by now; it tells each once.
  bool finds_cards(unsigned count) {
    return comes_true([&] { return count_in_log("[1af4:1041]") == count; }, 60s);
  }

 private:
  unsigned count_in_log(const std::string& text) {
    const std::string log = slurp(vm_.config().console_log);
    unsigned count = 0;
    for (std::size_t at = log.find(text); at != std::string::npos; at = log.find(text, at + 1))
      ++count;
    return count;
  }

  LibvirtVm vm_;
  std::optional<handoff::VmKeeper> device_;
  std::unique_ptr<Hypervisor> hypervisor_ = bounded_libvirt({});
  StartedVm started_;
};

std::string failure_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& e) {
    return e.what();
  }
  return {};
}

bool is_gone(const NetworkCard& card) {
  return comes_true([&] { return !is_here(card); }, 5s);
}

}  // namespace

TEST_CASE("libvirt: a running VM gets cards, as many as it has ports, and gives them back",
          "[libvirt]") {
  skip_without_assets();
  WaitingVm vm(2);
  const Namespace elsewhere;
  const std::string id = random_hex(4);
  const NetworkCard first = network_card(id, 0), second = network_card(id, 1);
  SECTION("while it boots") {}
  SECTION("later") { vm.await_boot(); }

  vm.hypervisor().attach(vm.name(), first, [&] { elsewhere.take(first.tap, "husk0"); });
  CHECK(vm.finds_cards(1));
  CHECK_FALSE(is_here(first));
  CHECK(elsewhere.has("husk0"));
  vm.hypervisor().attach(vm.name(), second, [] {});
  CHECK(vm.finds_cards(2));
  CHECK(is_here(second));
  const std::string failure = failure_of(
      [&] { vm.hypervisor().attach(vm.name(), network_card(id, 2), [] { FAIL("placed"); }); });
  CHECK(failure.find("network card " + network_card(id, 2).mac) != std::string::npos);
  CHECK(is_gone(network_card(id, 2)));

  vm.await_boot();
  vm.hypervisor().destroy(vm.name());  // with the cards in it
  CHECK(comes_true([&] { return !elsewhere.has("husk0"); }, 5s));
  CHECK(is_gone(second));
  CHECK(failure_of([&] { vm.hypervisor().attach(vm.name(), first, [] {}); }) ==
        "attach network card " + first.mac + " to VM " + vm.name() + ": libvirt does not know VM " +
            vm.name());
}

TEST_CASE("libvirt: a card that could not be placed is taken away again", "[libvirt]") {
  skip_without_assets();
  WaitingVm vm(1);
  vm.await_boot();
  const NetworkCard card = network_card(random_hex(4), 0);
  const std::string failure = failure_of([&] {
    vm.hypervisor().attach(vm.name(), card, [] { throw Error(Errc::system, "no such namespace"); });
  });
  CHECK(failure ==
        "attach network card " + card.mac + " to VM " + vm.name() + ": no such namespace");
  CHECK(is_gone(card));
}

TEST_CASE("libvirt: a card is not connected before it is placed", "[libvirt]") {
  skip_without_assets();
  WaitingVm vm(1);
  const NetworkCard card = network_card(random_hex(4), 0);
  const auto link_state = [&] {
    Subprocess command;
    command.program = "/usr/bin/virsh";
    command.arguments = {"-c", "qemu:///system", "domif-getlink", vm.name(), card.mac};
    return run_subprocess(command).output;
  };
  const std::string failure = failure_of([&] {
    vm.hypervisor().attach(vm.name(), card, [&] {
      // In a child, so said by what is thrown.
      if (link_state().find(" down") == std::string::npos) throw Error(Errc::internal, "is up");
    });
  });
  CHECK(failure.empty());
  CHECK(link_state().find(" up") != std::string::npos);
}
