// SPDX-License-Identifier: Apache-2.0
#include "lib/hypervisor/ch_domain.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers_exception.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <fstream>
#include <nlohmann/json.hpp>

#include "lib/base/error.hpp"
#include "lib/base/subprocess.hpp"
#include "test/lib/base/scratch.hpp"

using namespace husk;
using namespace husk::hypervisor;
using Catch::Matchers::ContainsSubstring;
using nlohmann::json;

namespace {

VmConfig ch_example() {
  VmConfig config;
  config.name = "husk-0a1b2c3d";
  config.title = "container web";
  config.description = "husk container web";
  config.accelerator = Accelerator::kvm;
  config.kernel = "/run/husk-vm/0a1b2c3d/vmlinuz";
  config.initrd = "/run/husk-vm/0a1b2c3d/initrd";
  config.kernel_arguments = "console=ttyS0 quiet";
  config.console_log = "/run/husk-vm/0a1b2c3d.console.log";
  config.shared_directories = {{"/run/husk-vm/0a1b2c3d/share.sock", "husk"}};
  config.network_cards = {network_card("0a1b2c3d", 0)};
  config.vsock.hybrid_socket = "/run/husk-vm/0a1b2c3d/vsock/vsock.sock";
  config.go_between =
      GoBetween{.program = "/usr/libexec/husk/husk-ch", .hypervisor = "/usr/bin/cloud-hypervisor"};
  config.directory = "/run/husk-vm/0a1b2c3d";
  return config;
}

}  // namespace

TEST_CASE("ch domain: virt-xml-validate accepts the XML", "[hypervisor]") {
  VmConfig config = ch_example();
  config.shape.max_vcpus = GENERATE(1u, 8u);
  config.description = "a <b> & 'c' \"d\" \xc3\xa9";
  const test::Scratch scratch;
  const auto file = scratch.path() / "domain.xml";
  std::ofstream(file) << ch_domain_xml(config);
  Subprocess command;
  command.program = "/usr/bin/virt-xml-validate";
  command.arguments = {file.string(), "domain"};
  const SubprocessResult result = run_subprocess(command);
  INFO(result.output);
  CHECK(result.status == 0);
}

TEST_CASE("ch domain: the XML has nothing that libvirt's ch driver refuses or passes over",
          "[hypervisor]") {
  VmConfig config = ch_example();
  config.shape.memory_device = MemoryDevice{.size_mib = 1024, .requested_mib = 128};
  const std::string xml = ch_domain_xml(config);
  for (const char* part :
       {"<filesystem", "<vsock", "<memoryBacking", "<memballoon", "<rng", "<serial", "<console",
        "<loader", "<controller", "<interface", "<maxMemory", "<rom", "<memory model"}) {
    CAPTURE(part);
    CHECK(xml.find(part) == std::string::npos);
  }
  CHECK_THAT(xml,
             ContainsSubstring("<domain type='kvm'>") &&
                 ContainsSubstring("<memory unit='MiB'>512</memory>") &&
                 ContainsSubstring("<emulator>/run/husk-vm/0a1b2c3d/cloud-hypervisor</emulator>"));
}

TEST_CASE("ch domain: the rest is for husk-ch", "[hypervisor]") {
  VmConfig config = ch_example();
  json additions = json::parse(ch_additions(config));
  CHECK(
      additions ==
      json{{"program", "/usr/bin/cloud-hypervisor"},
           {"vsock", {{"cid", 3}, {"socket", "/run/husk-vm/0a1b2c3d/vsock/vsock.sock"}}},
           {"serial_file", "/run/husk-vm/0a1b2c3d.console.log"},
           {"fs", {{{"tag", "husk"}, {"socket", "/run/husk-vm/0a1b2c3d/share.sock"}}}},
           {"net", {{{"tap", config.network_cards[0].tap}, {"mac", config.network_cards[0].mac}}}},
           {"landlock", {{{"path", "/run/husk-vm/0a1b2c3d"}, {"access", "rw"}}}}});
  config.shape.memory_device = MemoryDevice{.size_mib = 1024, .requested_mib = 128};
  additions = json::parse(ch_additions(config));
  CHECK(additions["memory_hotplug_mib"] == 1024);
}

TEST_CASE("ch domain: what Cloud Hypervisor cannot be started without is named", "[hypervisor]") {
  VmConfig config = ch_example();
  config.go_between.reset();
  CHECK_THROWS_WITH(ch_domain_xml(config),
                    "VM husk-0a1b2c3d: Cloud Hypervisor is started without husk-ch");
  config = ch_example();
  config.vsock.hybrid_socket.reset();
  CHECK_THROWS_WITH(ch_additions(config),
                    "VM husk-0a1b2c3d: Cloud Hypervisor has no other vsock device than its own");
  config = ch_example();
  config.network_cards[0].tap = "vnet%d";
  CHECK_THROWS_AS(ch_additions(config), Error);
}
