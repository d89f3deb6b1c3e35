// SPDX-License-Identifier: Apache-2.0
#include "ch/vm_config.hpp"

#include <catch2/catch_test_macros.hpp>
#include <nlohmann/json.hpp>

#include "lib/base/error.hpp"

using namespace husk;
using namespace husk::ch;
using nlohmann::json;

namespace {

Additions additions() {
  return {.program = "/usr/bin/cloud-hypervisor",
          .fs = {{.tag = "husk", .socket = "/vm/fs"}},
          .net = {{.tap = "tap0", .mac = "52:54:00:00:00:01"}},
          .vsock = {.cid = 3, .socket = "/vm/vsock"},
          .serial_file = "/vm/console",
          .memory_hotplug_mib = 0,
          .landlock = {},
          .pvpanic = false};
}

/// As libvirt 11.3 sends it, which sends interfaces later (vm.add-net).
json new_body() {
  return json::parse(R"({
    "cpus": {"boot_vcpus": 2, "max_vcpus": 2},
    "memory": {"size": 536870912},
    "payload": {"cmdline": "console=ttyS0 husk.stay", "kernel": "/k/vmlinuz", "initramfs": "/k/initrd"}
  })");
}

/// As libvirt 9.0 does.
json old_body() {
  return json::parse(R"({
    "cpus": {"boot_vcpus": 2, "max_vcpus": 2},
    "memory": {"size": 536870912},
    "kernel": {"path": "/k/vmlinuz"},
    "cmdline": {"args": "console=ttyS0 husk.stay"},
    "initramfs": {"path": "/k/initrd"}
  })");
}

json merged(const json& body, const Additions& with = additions()) {
  return json::parse(add_to_vm_config(body.dump(), with));
}

std::string refusal_of_text(const std::string& body, const Additions& with = additions()) {
  try {
    add_to_vm_config(body, with);
  } catch (const Error& e) {
    CHECK(e.code() == Errc::invalid_argument);
    return e.what();
  }
  return "no error";
}

std::string refusal_with(const json& patch, json body = new_body()) {
  body.merge_patch(patch);
  return refusal_of_text(body.dump());
}

}  // namespace

TEST_CASE("vm.create: libvirt 11.3's body gets husk's additions and keeps the rest") {
  json expected = new_body();
  expected["memory"]["shared"] = true;
  expected["fs"] = {
      {{"tag", "husk"}, {"socket", "/vm/fs"}, {"num_queues", 1}, {"queue_size", 1024}}};
  expected["net"] = {{{"tap", "tap0"}, {"mac", "52:54:00:00:00:01"}}};
  expected["vsock"] = {{"cid", 3}, {"socket", "/vm/vsock"}};
  expected["serial"] = {{"mode", "File"}, {"file", "/vm/console"}};
  expected["console"] = {{"mode", "Off"}};
  CHECK(merged(new_body()) == expected);
}

TEST_CASE("vm.create: libvirt 9.0's kernel becomes the payload of Cloud Hypervisor 28") {
  json expected = merged(new_body());
  CHECK(merged(old_body()) == expected);
  json body = old_body();
  body.erase("cmdline");
  body.erase("initramfs");
  CHECK(merged(body)["payload"] == json{{"kernel", "/k/vmlinuz"}});
}

TEST_CASE("vm.create: memory that can be plugged is a virtio-mem device") {
  Additions with = additions();
  with.memory_hotplug_mib = 1024;
  CHECK(merged(new_body(), with)["memory"] == json{{"size", 536870912},
                                                   {"shared", true},
                                                   {"hotplug_method", "VirtioMem"},
                                                   {"hotplug_size", 1073741824}});
}

TEST_CASE("vm.create: pvpanic and Landlock are added where they are wanted") {
  Additions with = additions();
  with.pvpanic = true;
  with.landlock.emplace({LandlockRule{.path = "/vm", .access = "rw"}});
  const json config = merged(new_body(), with);
  CHECK(config["pvpanic"] == true);
  CHECK(config["landlock_enable"] == true);
  CHECK(config["landlock_rules"] == json::parse(R"([{"path": "/vm", "access": "rw"}])"));
}

TEST_CASE("vm.create: what is null, off or empty is no conflict") {
  json body = new_body();
  body["fs"] = json::array();
  body["vsock"] = nullptr;
  body["serial"] = {{"mode", "Null"}};
  body["console"] = {{"mode", "Off"}};
  body["memory"]["shared"] = false;
  body["kernel"] = nullptr;
  const json config = merged(body);
  CHECK(config["fs"].size() == 1);
  CHECK(config["memory"]["shared"] == true);
  CHECK(config["serial"]["mode"] == "File");
}

TEST_CASE("vm.create: a device of husk's that is there already is refused by name") {
  const std::string adds = ": there already, and husk adds its own";
  CHECK(refusal_with(json::parse(R"({"fs": [{"tag": "x"}]})")) == "vm.create: fs" + adds);
  CHECK(refusal_with(json::parse(R"({"net": [{"tap": "x"}]})")) == "vm.create: net" + adds);
  CHECK(refusal_with(json::parse(R"({"vsock": {"cid": 4}})")) == "vm.create: vsock" + adds);
  CHECK(refusal_with(json::parse(R"({"serial": {"mode": "Pty"}})")) ==
        "vm.create: serial: there already (mode \"Pty\"), and husk adds its own");
  CHECK(refusal_with(json::parse(R"({"console": {"mode": "Pty"}})")) ==
        "vm.create: console: there already (mode \"Pty\"), and husk adds its own");
  CHECK(refusal_with(json::parse(R"({"serial": 1})")) == "vm.create: serial: not an object");
  Additions with = additions();
  with.landlock.emplace();
  json body = new_body();
  body["landlock_rules"] = {{{"path", "/x"}}};
  CHECK(refusal_of_text(body.dump(), with) == "vm.create: landlock_rules" + adds);
}

TEST_CASE("vm.create: a body without memory or kernel is refused by name") {
  CHECK(refusal_with({{"memory", nullptr}}) == "vm.create: memory: missing");
  CHECK(refusal_with({{"memory", 1}}) == "vm.create: memory: not an object");
  CHECK(refusal_with({{"memory", {{"size", nullptr}}}}) == "vm.create: memory.size: missing");
  CHECK(refusal_with({{"payload", nullptr}}) == "vm.create: payload.kernel: missing");
  CHECK(refusal_with({{"payload", 1}}) == "vm.create: payload: not an object");
  CHECK(refusal_with({{"payload", {{"kernel", nullptr}}}}) == "vm.create: payload.kernel: missing");
  CHECK(refusal_with({{"payload", {{"kernel", 1}}}}) == "vm.create: payload.kernel: not a string");
  CHECK(refusal_with({{"kernel", {{"path", "/k"}}}}) == "vm.create: kernel: beside payload");
  CHECK(refusal_with({{"kernel", 1}}, old_body()) == "vm.create: kernel: not an object");
  CHECK(refusal_with({{"kernel", {{"path", 1}}}}, old_body()) ==
        "vm.create: kernel.path: not a string");
  CHECK(refusal_with({{"cmdline", {{"args", nullptr}}}}, old_body()) ==
        "vm.create: cmdline.args: missing");
}

TEST_CASE("vm.create: what is no object, or nested without end, is refused") {
  CHECK(refusal_of_text("[]") == "vm.create: the body: not an object");
  CHECK(refusal_of_text("").starts_with("vm.create: malformed JSON"));
  CHECK(refusal_of_text(std::string(200000, '[')).starts_with("vm.create: nested deeper than"));
  CHECK(refusal_of_text("{\"a\": \"\xff\"}").starts_with("vm.create: malformed JSON"));
}
