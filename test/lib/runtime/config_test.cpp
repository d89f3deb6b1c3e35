// SPDX-License-Identifier: Apache-2.0
#include "lib/runtime/host/config.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <fstream>
#include <sstream>

#include "lib/base/error.hpp"
#include "lib/runtime/host/config_text.hpp"
#include "test/lib/base/scratch.hpp"

using namespace husk::runtime;
using Catch::Matchers::ContainsSubstring;
using husk::test::Scratch;

namespace {
Config load(const std::string& text) {
  const Scratch dir;
  std::ofstream(dir.path() / "config.toml") << text;
  return load_config(dir.path() / "config.toml");
}
}  // namespace

TEST_CASE("load_config: no file means the defaults", "[runtime]") {
  const Config config = load_config("/nonexistent/config.toml");
  // As husk.toml(5) tells them.
  CHECK(config.uri == "qemu:///system");
  CHECK(config.accelerator == std::nullopt);
  CHECK_FALSE(config.firmware);
  CHECK(config.vcpus == 1);
  CHECK(config.memory_mib == 512);
  CHECK_FALSE(config.kernel);
  CHECK_FALSE(config.initrd);
  CHECK_FALSE(config.modules);
  CHECK(config.kernel_arguments.empty());
  CHECK(config.sysctl.empty());
  CHECK(config.boot_timeout == std::chrono::seconds(120));
}

TEST_CASE("load_config: every key arrives", "[runtime]") {
  const Config config = load(
      "[hypervisor]\nuri = \"qemu:///embed\"\naccelerator = \"tcg\"\nfirmware = \"/f\"\n"
      "[vm]\nvcpus = 3\nmemory_mib = 777\nkernel = \"/k\"\ninitrd = \"/i\"\nmodules = "
      "\"/m\"\nkernel_arguments = \"a "
      "b\"\nboot_timeout_seconds = 9\n");
  CHECK(config.uri == "qemu:///embed");
  CHECK(config.accelerator == hypervisor::Accelerator::tcg);
  CHECK(config.firmware == "/f");
  CHECK(config.vcpus == 3);
  CHECK(config.memory_mib == 777);
  CHECK(config.kernel == "/k");
  CHECK(config.initrd == "/i");
  CHECK(config.modules == "/m");
  CHECK(config.kernel_arguments == "a b");
  CHECK(config.boot_timeout == std::chrono::seconds(9));
}

TEST_CASE("load_config: errors name the file, the line and the key", "[runtime]") {
  const std::pair<std::string, const char*> cases[] = {
      {"[vm]\n\nvcpu = 1\n", "config.toml:3: unknown key vm.vcpu"},
      {"[nope]\nx = 1\n", "unknown section [nope]"},
      {"vm = 3\n", "config.toml:1: vm must be a table"},
      {"[vm]\nvcpus = \"2\"\n", "config.toml:2: vm.vcpus must be an integer"},
      {"[vm]\nallowed_annotations = \"io.husk.vcpus\"\n", "must be an array of strings"},
      {"[files]\ncache = \"none\"\n", "files.cache must be auto, always, metadata or never"},
      {"[files]\nthreads = 65\n", "files.threads must be between 0 and 64"},
      {"[files]\nvirtiofsd = \"v\"\n", "files.virtiofsd must be an absolute path"},
      {"[vm]\nallowed_annotations = [7]\n", "must be an array of strings"},
      {"[vm]\nallowed_annotations = [\"x\"]\n", "husk knows no annotation \"x\""},
      {"[vm]\nmax_memory_mib = 256\n", "vm.memory_mib is 512, more than vm.max_memory_mib, 256"},
      {"[vm]\nvcpus = 0\n", "vm.vcpus must be between 1 and 64"},
      {"[vm]\nmemory_mib = 99999999\n", "vm.memory_mib must be between"},
      {"[vm]\nkernel = \"relative\"\n", "vm.kernel must be an absolute path"},
      {"[hypervisor]\naccelerator = \"xen\"\n", "must be auto, kvm or tcg"},
      {"[vm]\nsysctl = 5\n", "config.toml:2: vm.sysctl must be a table"},
      {"[vm]\nsysctl = { \"vm/../x\" = 1 }\n", "\"vm/../x\" is not the name of a sysctl"},
      {"[vm.sysctl]\nvm.max_map_count = 1\n", "a name with dots in quotation marks"},
      {"[vm]\nsysctl = { \"vm.swappiness\" = 1.5 }\n", "\"vm.swappiness\" must be a string or an"},
      {"[vm]\nsysctl = { \"vm.x\" = \"" + std::string(5000, '1') + "\" }\n",
       "vm.sysctl is longer than 4096 bytes"},
      {"[vm\n", "config.toml:1"},
  };
  for (const auto& [text, message] : cases) {
    CAPTURE(text);
    CHECK_THROWS_WITH(load(text), ContainsSubstring(message));
  }
}

TEST_CASE("config: parameters of the guest's kernel, by either way to write their names",
          "[runtime]") {
  const Config config = load(
      "[vm.sysctl]\n\"vm.max_map_count\" = 262144\n\"net/ipv4/tcp_rmem\" = \"4096 87380 "
      "6291456\"\n");
  CHECK(config.sysctl == KernelParameters{{"vm/max_map_count", "262144"},
                                          {"net/ipv4/tcp_rmem", "4096 87380 6291456"}});
}

TEST_CASE("format_config: is a configuration with the same values", "[runtime]") {
  const InstallPaths paths{.shim = "/s",
                           .kernel = "/share/vmlinuz",
                           .initrd = "/share/initrd",
                           .modules = "/share/modules"};
  const std::string text =
      "[hypervisor]\naccelerator = \"kvm\"\n[files]\ncache = \"never\"\nthreads = 3\nvirtiofsd = "
      "\"/v\"\n"
      "[vm]\nvcpus = 3\nmax_vcpus = 6\nmax_memory_mib = 4000\nallowed_annotations = "
      "[\"io.husk.vcpus\"]\n"
      "kernel_arguments = 'a=\"b\"'\nsysctl = { \"vm.max_map_count\" = 262144 }\n";
  const Config config = load(text);
  const std::string formatted = format_config(config, paths);
  const Config again = load(formatted);
  CHECK(again.accelerator == hypervisor::Accelerator::kvm);
  CHECK(again.files == config.files);
  CHECK(again.virtiofsd == "/v");
  CHECK(again.max_vcpus == 6);
  CHECK(again.allowed_annotations == config.allowed_annotations);
  CHECK(again.kernel_arguments == "a=\"b\"");
  CHECK(again.sysctl == config.sysctl);
  CHECK(again.kernel == "/share/vmlinuz");
  CHECK_THAT(formatted, ContainsSubstring("vcpus = 3\n") &&
                            ContainsSubstring("memory_mib = 512  # default\n"));
}

TEST_CASE("format_config: has the keys of husk.toml(5), and no other", "[runtime]") {
  std::set<std::string> in_page;
  std::ifstream page(HUSK_SOURCE_DIR "/man/husk.toml.5");
  for (std::string line; std::getline(page, line);)
    // .BR key " = ...", or .BR key " = ..., " key " = ...": the keys are outside of the quotation marks.
    if (line.starts_with(".BR ") && line.find(" = ") != std::string::npos &&
        !line.starts_with(".BR \"")) {
      std::istringstream parts(line.substr(4));
      bool is_quoted = false;
      for (std::string part; std::getline(parts, part, '"'); is_quoted = !is_quoted) {
        std::istringstream words(is_quoted ? "" : part);
        for (std::string word; words >> word;) in_page.insert(word);
      }
    }
  std::set<std::string> formatted;
  std::istringstream lines(
      format_config({}, {.shim = "/s", .kernel = "/k", .initrd = "/i", .modules = "/m"}));
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("# ")) line.erase(0, 2);
    if (!line.starts_with("[")) formatted.insert(line.substr(0, line.find_first_of(" :")));
  }
  CHECK(formatted == in_page);
  CHECK(formatted.size() > 15);
}
