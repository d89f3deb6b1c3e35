// SPDX-License-Identifier: Apache-2.0
#include "lib/hypervisor/domain_xml.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <fstream>

#include "lib/base/error.hpp"
#include "lib/base/subprocess.hpp"
#include "lib/hypervisor/network_xml.hpp"
#include "lib/hypervisor/size_xml.hpp"
#include "test/lib/base/scratch.hpp"

using namespace husk;
using namespace husk::hypervisor;

namespace {

VmConfig example() {
  VmConfig config;
  config.name = "husk-0a1b2c3d";
  config.description = "container web";
  config.kernel = "/run/husk-vm/1/vmlinuz";
  config.initrd = "/run/husk-vm/1/initrd";
  config.kernel_arguments = "console=ttyS0 quiet";
  config.firmware = "/usr/share/qemu/qboot.rom";
  config.console_log = "/run/husk-vm/1/console.log";
  config.shared_directories = {{"/run/husk-vm/1/share.sock", "husk"}};
  return config;
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

SubprocessResult validate(const std::string& xml) {
  const test::Scratch scratch;
  const auto file = scratch.path() / "domain.xml";
  std::ofstream(file) << xml;
  Subprocess command;
  command.program = "/usr/bin/virt-xml-validate";
  command.arguments = {file.string(), "domain"};
  return run_subprocess(command);
}

}  // namespace

TEST_CASE("domain xml: virt-xml-validate accepts every form", "[hypervisor]") {
  VmConfig config = example();
  config.accelerator = GENERATE(Accelerator::kvm, Accelerator::tcg);
  if (GENERATE(true, false)) config.vsock.vhost_user_socket = "/run/husk-vm/1/vsock/vhost.sock";
  if (GENERATE(true, false)) config.title = "container a & b";
  if (GENERATE(true, false)) config.firmware.clear();
  config.shape.vcpus = GENERATE(1u, 64u);
  if (GENERATE(true, false)) {
    config.shape.max_vcpus = 65;
    config.shape.memory_device = MemoryDevice{.size_mib = 8192, .requested_mib = 128};
  }
  config.network_cards = {network_card("0a1b2c3d", 0), network_card("0a1b2c3d", 1)};
  config.network_ports = GENERATE(0u, 8u);
  config.description = "a <b> & 'c' \"d\" \xc3\xa9";
  const auto questions = GENERATE(CpuQuestions::few, CpuQuestions::all);
  const SubprocessResult result = validate(qemu_domain_xml(config, questions));
  INFO(result.output);
  CHECK(result.status == 0);
}

TEST_CASE("domain xml: virt-xml-validate can refuse, so its yes means something", "[hypervisor]") {
  std::string xml = qemu_domain_xml(example());
  xml.insert(xml.find("<devices>"), "<surprise/>");
  CHECK(validate(xml).status != 0);
}

TEST_CASE("domain xml: kvm takes the host's processor, tcg an emulated one", "[hypervisor]") {
  VmConfig config = example();
  config.accelerator = Accelerator::kvm;
  CHECK(contains(qemu_domain_xml(config), "<domain type='kvm'"));
  CHECK(contains(qemu_domain_xml(config), "<cpu mode='host-passthrough'></cpu>"));
  config.accelerator = Accelerator::tcg;
  CHECK(contains(qemu_domain_xml(config), "<domain type='qemu'"));
  CHECK(contains(qemu_domain_xml(config), "<cpu mode='maximum'><feature policy='disable'"));
}

TEST_CASE("domain xml: a vsock device is either libvirt's or QEMU's own, never both",
          "[hypervisor]") {
  VmConfig config = example();
  CHECK(contains(qemu_domain_xml(config), "<cid auto='yes'/>"));
  CHECK_FALSE(contains(qemu_domain_xml(config), "vhost-user-vsock"));
  config.vsock.vhost_user_socket = "/run/x/vhost.sock";
  CHECK_FALSE(contains(qemu_domain_xml(config), "<vsock"));
  CHECK(contains(qemu_domain_xml(config), "path=/run/x/vhost.sock"));
  CHECK(contains(qemu_domain_xml(config), "vhost-user-vsock-pci"));
}

TEST_CASE("domain xml: a network card has a tap, no ROM, and a slot of its own", "[hypervisor]") {
  VmConfig config = example();
  for (unsigned i = 0; i < 8; ++i) config.network_cards.push_back(network_card("0a1b2c3d", i));
  const std::string xml = qemu_domain_xml(config);
  CHECK(contains(xml,
                 "<interface type='ethernet'><mac address='06:0a:1b:2c:3d:00'/>"
                 "<target dev='husk0a1b2c3d-0'/><model type='virtio'/><rom enabled='no'/>"
                 "<address type='pci' domain='0x0000' bus='0x00' slot='16'"));
  CHECK(contains(xml, "<target dev='husk0a1b2c3d-7'/>"));
  CHECK(contains(xml, "slot='23'"));
  config.network_cards.push_back(network_card("0a1b2c3d", 8));
  REQUIRE_THROWS_AS(qemu_domain_xml(config), Error);
  config.network_cards = {{.mac = "01:00:5e:00:00:01", .tap = "husk0"}};
  REQUIRE_THROWS_AS(qemu_domain_xml(config), Error);
}

TEST_CASE("domain xml: a network card has as many queues as there are processors, up to 8",
          "[hypervisor]") {
  VmConfig config = example();
  config.network_cards = {network_card("0a1b2c3d", 0)};
  CHECK_FALSE(contains(qemu_domain_xml(config), "queues"));
  config.shape.vcpus = 2;
  CHECK(contains(qemu_domain_xml(config), "<driver queues='2'/>"));
  config.shape.vcpus = 9;
  CHECK(contains(qemu_domain_xml(config), "<driver queues='8'/>"));
}

TEST_CASE("domain xml: ports for later cards are the functions of one slot, up to 8",
          "[hypervisor]") {
  VmConfig config = example();
  CHECK_FALSE(contains(qemu_domain_xml(config), "pcie-root-port"));
  config.network_ports = 8;
  const std::string xml = qemu_domain_xml(config);
  CHECK(contains(xml,
                 "<controller type='pci' index='1' model='pcie-root-port'>"
                 "<address type='pci' domain='0x0000' bus='0x00' slot='24' function='0' "
                 "multifunction='on'/>"));
  CHECK(contains(xml, "slot='24' function='7'/>"));
  config.network_ports = 9;
  REQUIRE_THROWS_AS(qemu_domain_xml(config), Error);
}

TEST_CASE("domain xml: a card for a running VM is on any port, its cable in or out",
          "[hypervisor]") {
  const NetworkCard card = network_card("0a1b2c3d", 0);
  const std::string out = qemu_network_card_xml(card, 2, Cable::out);
  CHECK(contains(out, "<link state='down'/>"));
  CHECK(contains(out, "<driver queues='2'/>"));
  CHECK_FALSE(contains(out, "<address"));
  CHECK(contains(qemu_network_card_xml(card, 2, Cable::in), "<link state='up'/>"));
  REQUIRE_THROWS_AS(qemu_network_card_xml({.mac = card.mac, .tap = ""}, 1, Cable::in), Error);
}

TEST_CASE("domain xml: without cards the machine has no network, display or usb", "[hypervisor]") {
  const std::string xml = qemu_domain_xml(example());
  CHECK_FALSE(contains(xml, "<interface"));
  CHECK_FALSE(contains(xml, "<video"));
  CHECK_FALSE(contains(xml, "<graphics"));
  CHECK(contains(xml, "<controller type='usb' model='none'/>"));
}

TEST_CASE("domain xml: values are escaped wherever they stand", "[hypervisor]") {
  const std::string hostile = "x'/><disk a=\"&<>";
  const std::string escaped = "x&apos;/&gt;&lt;disk a=&quot;&amp;&lt;&gt;";
  VmConfig config = example();
  config.name = config.title = config.description = config.kernel_arguments = hostile;
  config.kernel = config.initrd = config.firmware = config.console_log = "/" + hostile;
  config.shared_directories = {{"/" + hostile, hostile}};
  config.vsock.vhost_user_socket = "/" + hostile;
  const std::string xml = qemu_domain_xml(config);
  CHECK_FALSE(contains(xml, "<disk"));
  std::size_t count = 0;
  for (std::size_t at = xml.find(escaped); at != std::string::npos; at = xml.find(escaped, at + 1))
    ++count;
  CHECK(count == 11);
}

TEST_CASE("domain xml: control characters and broken utf-8 are refused", "[hypervisor]") {
  const std::string bad = GENERATE(as<std::string>{}, "a\nb", "a\x01", "\x7f", "\xff", "\xc3",
                                   "\xc0\xaf", "\xed\xa0\x80", "\xef\xbf\xbe", "\xf5\x80\x80\x80");
  VmConfig config = example();
  config.description = bad;
  REQUIRE_THROWS_AS(qemu_domain_xml(config), Error);
  config = example();
  config.shared_directories[0].socket = "/" + bad;
  REQUIRE_THROWS_AS(qemu_domain_xml(config), Error);
}

TEST_CASE("domain xml: a comma cannot add options to QEMU's socket", "[hypervisor]") {
  VmConfig config = example();
  config.vsock.vhost_user_socket = "/run/a,server=on";
  REQUIRE_THROWS_AS(qemu_domain_xml(config), Error);
}

TEST_CASE("domain xml: what can be plugged is there from the start", "[hypervisor]") {
  VmConfig config = example();
  config.shape = {.vcpus = 2, .max_vcpus = 4, .memory_mib = 512, .memory_device = {}};
  CHECK(contains(qemu_domain_xml(config), "<memory unit='MiB'>512</memory><vcpu>4</vcpu>"));
  CHECK_FALSE(contains(qemu_domain_xml(config), "numa"));
  config.shape.memory_device = MemoryDevice{.size_mib = 7680, .requested_mib = 256};
  const std::string xml = qemu_domain_xml(config);
  CHECK(contains(xml, "<maxMemory slots='1' unit='MiB'>8192</maxMemory>"));
  CHECK(contains(xml, "<cell id='0' cpus='0-3' memory='512' unit='MiB'/>"));
  CHECK(contains(xml, "<size unit='MiB'>7680</size>"));
  CHECK(contains(xml, "<requested unit='MiB'>256</requested>"));
  config.shape.max_vcpus = 1;  // less than there are from the start
  CHECK(contains(qemu_domain_xml(config), "<vcpu>2</vcpu>"));
}

TEST_CASE("domain xml: memory that is not in steps is refused", "[hypervisor]") {
  VmConfig config = example();
  config.shape.memory_device = MemoryDevice{.size_mib = 8000, .requested_mib = 0};
  CHECK_THROWS_AS(qemu_domain_xml(config), Error);
  config.shape.memory_device = MemoryDevice{.size_mib = 8192, .requested_mib = 1};
  CHECK_THROWS_AS(qemu_domain_xml(config), Error);
}

TEST_CASE("domain xml: a memory device that changes keeps its address", "[hypervisor]") {
  const MemoryDevice device{.size_mib = 7680, .requested_mib = 128};
  // As libvirt 11 describes the device, and libvirt 9.0.
  const std::string start =
      "<devices><memory model='virtio-mem'><target><size unit='KiB'>7864320</size>"
      "<requested unit='KiB'>0</requested><current unit='KiB'>0</current>";
  const std::string end = "</target><alias name='ua-memory'/></memory><console/></devices>";
  const std::string address = "<address base='0x100000000'/>";
  CHECK(contains(qemu_changed_memory_xml(device, start + address + end),
                 "<requested unit='MiB'>128</requested>" + address + "</target>"));
  CHECK(qemu_changed_memory_xml(device, start + end) == qemu_memory_device_xml(device));
  CHECK(qemu_changed_memory_xml(device, start + end + address) == qemu_memory_device_xml(device));
  CHECK(qemu_changed_memory_xml(device, "<devices>" + address + "</devices>") ==
        qemu_memory_device_xml(device));
}
