// SPDX-License-Identifier: Apache-2.0
// Bodies as libvirt's sources make them (src/ch/ch_monitor.c of 9.0 and 11.3); no libvirt was asked.
#include "ch/create_request.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <nlohmann/json.hpp>

#include "lib/base/error.hpp"

using namespace husk;
using nlohmann::json;

namespace {

const char* const of_9_0 =
    R"({"cpus": {"boot_vcpus": 1, "max_vcpus": 1}, "memory": {"size": 536870912},
        "kernel": {"path": "/k"}, "cmdline": {"args": "console=ttyS0"}, "initramfs": {"path": "/i"},
        "net": [{"tap": "t", "mac": "0e:00:00:00:00:01"}]})";
const char* const of_11_3 =
    R"({"cpus": {"boot_vcpus": 1, "max_vcpus": 1}, "memory": {"size": 536870912},
        "payload": {"kernel": "/k", "cmdline": "console=ttyS0", "initramfs": "/i"}})";

ch::Additions example_of_husk() {
  return {.program = "/usr/bin/cloud-hypervisor",
          .vsock_cid = 3,
          .vsock_socket = "/run/v/vsock.sock",
          .serial_file = "/run/v/console",
          .file_servers = {{"husk", "/run/v/share.sock"}},
          .memory_hotplug_mib = 0,
          .landlock = {{"/run/v", "rw"}}};
}

json completed(const std::string& body, const ch::Additions& additions = example_of_husk()) {
  return json::parse(ch::complete_create_request(body, additions));
}

std::string refusal_of_body(const std::string& body) {
  try {
    ch::complete_create_request(body, example_of_husk());
  } catch (const Error& e) {
    CHECK(e.code() == Errc::invalid_argument);
    return e.what();
  }
  return {};
}

}  // namespace

TEST_CASE("ch vm.create: has what libvirt cannot say", "[ch]") {
  const json vm = completed(GENERATE(of_9_0, of_11_3));
  CHECK(vm["payload"] == json{{"kernel", "/k"}, {"cmdline", "console=ttyS0"}, {"initramfs", "/i"}});
  for (const char* old : {"kernel", "cmdline", "initramfs"}) CHECK_FALSE(vm.contains(old));
  CHECK(vm["memory"] == json{{"size", 536870912}, {"shared", true}});
  CHECK(vm["fs"] == json::array({{{"tag", "husk"},
                                  {"socket", "/run/v/share.sock"},
                                  {"num_queues", 1},
                                  {"queue_size", 1024}}}));
  CHECK(vm["vsock"] == json{{"cid", 3}, {"socket", "/run/v/vsock.sock"}});
  CHECK(vm["serial"] == json{{"mode", "File"}, {"file", "/run/v/console"}});
  CHECK(vm["console"] == json{{"mode", "Off"}});
  CHECK(vm["landlock_enable"] == true);
  CHECK(vm["landlock_rules"] == json::array({{{"path", "/run/v"}, {"access", "rw"}}}));
}

TEST_CASE("ch vm.create: what libvirt says stays", "[ch]") {
  const json vm = completed(of_9_0);
  CHECK(vm["cpus"] == json{{"boot_vcpus", 1}, {"max_vcpus", 1}});
  CHECK(vm["net"] == json::array({{{"tap", "t"}, {"mac", "0e:00:00:00:00:01"}}}));
}

TEST_CASE("ch vm.create: memory that can be plugged", "[ch]") {
  ch::Additions additions = example_of_husk();
  additions.memory_hotplug_mib = 1024;
  CHECK(completed(of_11_3, additions)["memory"] == json{{"size", 536870912},
                                                        {"shared", true},
                                                        {"hotplug_method", "VirtioMem"},
                                                        {"hotplug_size", 1073741824}});
}

TEST_CASE("ch vm.create: a body that cannot be completed is refused", "[ch]") {
  for (const char* body : {"", "{", "[]", "1", "\"{}\""}) {
    CAPTURE(body);
    CHECK(refusal_of_body(body) == "vm.create: is no JSON object");
  }
  CHECK(refusal_of_body(R"({"memory": {"size": 1}})") == "vm.create: names no kernel");
  CHECK(refusal_of_body(R"({"kernel": "/k", "memory": {"size": 1}})") ==
        "vm.create: kernel has no path");
  CHECK(refusal_of_body(R"({"payload": {"firmware": "/f"}, "memory": {"size": 1}})") ==
        "vm.create: names no kernel");
  CHECK(refusal_of_body(R"({"payload": {"kernel": "/k"}})") == "vm.create: has no memory.size");
  CHECK(refusal_of_body(R"({"payload": {"kernel": "/k"}, "memory": 1})") ==
        "vm.create: has no memory.size");
  CHECK(refusal_of_body(R"({"payload": {"kernel": "/k"}, "memory": {"size": 1}, "fs": []})") ==
        "vm.create: has fs already");
  CHECK(refusal_of_body(R"({"payload": {"kernel": "/k"}, "memory": {"size": 1}, "vsock": {}})") ==
        "vm.create: has vsock already");
}
