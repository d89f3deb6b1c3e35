// SPDX-License-Identifier: Apache-2.0
#include "ch/additions.hpp"

#include <catch2/catch_test_macros.hpp>
#include <nlohmann/json.hpp>

#include "lib/base/error.hpp"
#include "lib/hypervisor/ch_domain.hpp"

using namespace husk;
using nlohmann::json;

namespace {

json example_additions() {
  return {{"program", "/usr/bin/cloud-hypervisor"},
          {"vsock", {{"cid", 3}, {"socket", "/run/v/vsock.sock"}}},
          {"serial_file", "/run/v/console"},
          {"fs", {{{"tag", "husk"}, {"socket", "/run/v/share.sock"}}}},
          {"memory_hotplug_mib", 1024},
          {"landlock", {{{"path", "/run/v"}, {"access", "rw"}}}}};
}

/// The text of the refusal; empty: taken.
std::string refusal_of(const std::string& text) {
  try {
    ch::read_additions(text);
  } catch (const Error& e) {
    CHECK(e.code() == Errc::invalid_argument);
    return e.what();
  }
  return {};
}

std::string refusal_with(const char* pointer, const json& value) {
  json changed = example_additions();
  changed[json::json_pointer(pointer)] = value;
  return refusal_of(changed.dump());
}

std::string refusal_without(const char* parent, const char* field) {
  json changed = example_additions();
  changed[json::json_pointer(parent)].erase(field);
  return refusal_of(changed.dump());
}

}  // namespace

TEST_CASE("ch additions: each field is read", "[ch]") {
  const ch::Additions additions = ch::read_additions(example_additions().dump());
  CHECK(additions.program == "/usr/bin/cloud-hypervisor");
  CHECK(additions.vsock_cid == 3);
  CHECK(additions.vsock_socket == "/run/v/vsock.sock");
  CHECK(additions.serial_file == "/run/v/console");
  REQUIRE(additions.file_servers.size() == 1);
  CHECK(additions.file_servers[0].tag == "husk");
  CHECK(additions.file_servers[0].socket == "/run/v/share.sock");
  CHECK(additions.memory_hotplug_mib == 1024);
  REQUIRE(additions.landlock.size() == 1);
  CHECK(additions.landlock[0].path == "/run/v");
  CHECK(additions.landlock[0].access == "rw");
}

TEST_CASE("ch additions: what husk writes is read", "[ch]") {
  hypervisor::VmConfig config;
  config.console_log = "/run/v/console";
  config.shared_directories = {{"/run/v/share.sock", "husk"}};
  config.vsock.hybrid_socket = "/run/v/vsock.sock";
  config.shape.memory_device = hypervisor::MemoryDevice{.size_mib = 256, .requested_mib = 0};
  config.go_between = hypervisor::GoBetween{.program = "/usr/libexec/husk/husk-ch",
                                            .hypervisor = "/usr/bin/cloud-hypervisor",
                                            .directory = "/run/v"};
  const ch::Additions additions = ch::read_additions(hypervisor::ch_additions(config));
  CHECK(additions.program == "/usr/bin/cloud-hypervisor");
  CHECK(additions.file_servers.size() == 1);
  CHECK(additions.memory_hotplug_mib == 256);
  CHECK(additions.landlock.size() == 1);
}

TEST_CASE("ch additions: what is wrong is named", "[ch]") {
  CHECK(refusal_of("{") == "is not JSON");
  CHECK(refusal_of("[]") == "the file is no object");
  CHECK(refusal_with("/surprise", 1) == "the file has an unknown field \"surprise\"");
  CHECK(refusal_without("", "program") == "program is missing");
  CHECK(refusal_with("/program", 1) == "program is no string");
  CHECK(refusal_with("/program", "bin/ch") == "program is no absolute path: \"bin/ch\"");
  CHECK(refusal_with("/serial_file", std::string("/a\0b", 4)) == "serial_file has a NUL in it");
  CHECK(refusal_without("", "vsock") == "vsock is missing");
  CHECK(refusal_with("/vsock", 3) == "vsock is no object");
  CHECK(refusal_with("/vsock/port", 3) == "vsock has an unknown field \"port\"");
  CHECK(refusal_without("/vsock", "cid") == "vsock.cid is missing");
  for (const json& cid : {json(-3), json(1e111), json("3"), json(1ULL << 32U)})
    CHECK(refusal_with("/vsock/cid", cid) == "vsock.cid is no number that can be");
  CHECK(refusal_with("/vsock/cid", 2) == "vsock.cid is no guest's: 2");
  CHECK(refusal_with("/vsock/cid", 4294967295U) == "vsock.cid is no guest's: 4294967295");
  CHECK(refusal_with("/fs", "husk") == "fs is no array");
  CHECK(refusal_with("/fs/0/queues", 1) == "fs[0] has an unknown field \"queues\"");
  CHECK(refusal_without("/fs/0", "tag") == "fs[0].tag is missing");
  CHECK(refusal_with("/fs/0/socket", "s") == "fs[0].socket is no absolute path: \"s\"");
  CHECK(refusal_with("/memory_hotplug_mib", -1) == "memory_hotplug_mib is no number that can be");
  CHECK(refusal_with("/memory_hotplug_mib", 2 << 20) == "memory_hotplug_mib is more than 1048576");
  CHECK(refusal_with("/landlock/0/access", "x") ==
        "landlock[0].access is none of r, w and rw: \"x\"");
}
