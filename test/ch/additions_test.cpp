// SPDX-License-Identifier: Apache-2.0
#include "ch/additions.hpp"

#include <catch2/catch_test_macros.hpp>
#include <nlohmann/json.hpp>

#include "lib/base/error.hpp"
#include "lib/hypervisor/ch_domain.hpp"

using namespace husk;
using namespace husk::ch;
using nlohmann::json;

namespace {

json whole() {
  return {{"program", "/usr/bin/cloud-hypervisor"},
          {"fs", {{{"tag", "husk"}, {"socket", "/run/husk-vm/1/fs"}}}},
          {"net", {{{"tap", "husk0a1b2c3d-0"}, {"mac", "0a:00:0a:1b:2c:3d"}}}},
          {"vsock", {{"cid", 3}, {"socket", "/run/husk-vm/1/vsock"}}},
          {"serial_file", "/run/husk-vm/1/console"},
          {"memory_hotplug_mib", 1024},
          {"landlock", {{{"path", "/run/husk-vm/1"}, {"access", "rw"}}}},
          {"pvpanic", true}};
}

/// The error's text for the whole file with `value` at `pointer`.
std::string error_with(const char* pointer, const json& value) {
  json file = whole();
  file[json::json_pointer(pointer)] = value;
  try {
    parse_additions(file.dump());
  } catch (const Error& e) {
    return e.what();
  }
  return "no error";
}

std::string error_without(const char* pointer, const char* key) {
  json file = whole();
  file[json::json_pointer(pointer)].erase(key);
  try {
    parse_additions(file.dump());
  } catch (const Error& e) {
    return e.what();
  }
  return "no error";
}

std::string error_of_text(const std::string& text) {
  try {
    parse_additions(text);
  } catch (const Error& e) {
    return e.what();
  }
  return "no error";
}

}  // namespace

TEST_CASE("additions: every field is read") {
  const Additions additions = parse_additions(whole().dump());
  CHECK(additions.program == "/usr/bin/cloud-hypervisor");
  CHECK(additions.fs ==
        std::vector<SharedDirectory>{{.tag = "husk", .socket = "/run/husk-vm/1/fs"}});
  CHECK(additions.net ==
        std::vector<NetworkCard>{{.tap = "husk0a1b2c3d-0", .mac = "0a:00:0a:1b:2c:3d"}});
  CHECK(additions.vsock == Vsock{.cid = 3, .socket = "/run/husk-vm/1/vsock"});
  CHECK(additions.serial_file == "/run/husk-vm/1/console");
  CHECK(additions.memory_hotplug_mib == 1024);
  REQUIRE(additions.landlock);
  CHECK(*additions.landlock ==
        std::vector<LandlockRule>{{.path = "/run/husk-vm/1", .access = "rw"}});
  CHECK(additions.pvpanic);
}

TEST_CASE("additions: what husk writes is read") {
  hypervisor::VmConfig config;
  config.console_log = "/run/v/console";
  config.shared_directories = {{"/run/v/share.sock", "husk"}};
  config.network_cards = {hypervisor::network_card("0a1b2c3d", 0)};
  config.vsock.hybrid_socket = "/run/v/vsock.sock";
  config.shape.memory_device = hypervisor::MemoryDevice{.size_mib = 256, .requested_mib = 0};
  config.go_between = hypervisor::GoBetween{.program = "/usr/libexec/husk/husk-ch",
                                            .hypervisor = "/usr/bin/cloud-hypervisor"};
  config.directory = "/run/v";
  const Additions additions = parse_additions(hypervisor::ch_additions(config));
  CHECK(additions.program == "/usr/bin/cloud-hypervisor");
  CHECK(additions.fs ==
        std::vector<SharedDirectory>{{.tag = "husk", .socket = "/run/v/share.sock"}});
  REQUIRE(additions.net.size() == 1);
  CHECK(additions.net[0].tap == config.network_cards[0].tap);
  CHECK(additions.serial_file == "/run/v/console");
  CHECK(additions.memory_hotplug_mib == 256);
  CHECK(additions.landlock == std::vector<LandlockRule>{{.path = "/run/v", .access = "rw"}});
  CHECK(std::string(additions_file) == hypervisor::ch_additions_file);
  CHECK(std::string(process_file) == hypervisor::ch_process_file);
  CHECK(std::string(failure_file) == hypervisor::ch_failure_file);
}

TEST_CASE("additions: memory to plug, Landlock and pvpanic may be absent") {
  json file = whole();
  file.erase("memory_hotplug_mib");
  file.erase("landlock");
  file.erase("pvpanic");
  const Additions additions = parse_additions(file.dump());
  CHECK(additions.memory_hotplug_mib == 0);
  CHECK_FALSE(additions.landlock);
  CHECK_FALSE(additions.pvpanic);
}

TEST_CASE("additions: a wrong field is named") {
  const std::string file = "ch-additions.json: ";
  CHECK(error_with("/program", "bin/x") == file + "program: not an absolute path: \"bin/x\"");
  CHECK(error_with("/program", "/bin/\nx") ==
        file + "program: has control characters: \"/bin/\\x0ax\"");
  CHECK(error_with("/program", 1) == file + "program: not a string");
  CHECK(error_with("/program", "") == file + "program: empty");
  CHECK(error_with("/program", "/" + std::string(5000, 'x')) ==
        file + "program: longer than 4095 bytes");
  CHECK(error_with("/fs", json::object()) == file + "fs: not an array");
  CHECK(error_with("/fs", std::vector<int>(65)) == file + "fs: more than 64 entries");
  CHECK(error_with("/fs/0", 1) == file + "fs[0]: not an object");
  CHECK(error_with("/fs/0/tag", std::string(37, 't')) == file + "fs[0].tag: longer than 36 bytes");
  CHECK(error_with("/fs/0/socket", "/" + std::string(107, 's')) ==
        file + "fs[0].socket: longer than 107 bytes");
  CHECK(error_with("/fs/0/queue", 1) == file + "fs[0].\"queue\": unknown key");
  CHECK(error_with("/net/0/tap", "sixteen-letters-") == file + "net[0].tap: longer than 15 bytes");
  CHECK(error_with("/net/0/mac", 1) == file + "net[0].mac: not a string");
  CHECK(error_with("/vsock", nullptr) == file + "vsock: not an object");
  for (const json& cid :
       {json(2), json(-1), json(4294967295u), json(1e9), json("3"), json(nullptr)})
    CHECK(error_with("/vsock/cid", cid) == file + "vsock.cid: not a number from 3 to 4294967294");
  CHECK(error_with("/vsock/socket", "vsock") ==
        file + "vsock.socket: not an absolute path: \"vsock\"");
  CHECK(error_with("/vsock/id", "x") == file + "vsock.\"id\": unknown key");
  CHECK(error_with("/serial_file", "x") == file + "serial_file: not an absolute path: \"x\"");
  for (const json& mib : {json(-1), json(2 << 20), json("1")})
    CHECK(error_with("/memory_hotplug_mib", mib) ==
          file + "memory_hotplug_mib: not a number from 0 to 1048576");
  CHECK(error_with("/landlock", nullptr) == file + "landlock: not an array");
  CHECK(error_with("/landlock/0/access", "x") ==
        file + "landlock[0].access: not r, w or rw: \"x\"");
  CHECK(error_with("/landlock/0/path", "x") ==
        file + "landlock[0].path: not an absolute path: \"x\"");
  CHECK(error_with("/pvpanic", 1) == file + "pvpanic: not true or false");
  CHECK(error_with("/disk", 1) == file + "\"disk\": unknown key");
}

TEST_CASE("additions: a missing field is named") {
  for (const char* key : {"program", "fs", "net", "vsock", "serial_file"})
    CHECK(error_without("", key) == "ch-additions.json: " + std::string(key) + ": missing");
  CHECK(error_without("/fs/0", "tag") == "ch-additions.json: fs[0].tag: missing");
  CHECK(error_without("/fs/0", "socket") == "ch-additions.json: fs[0].socket: missing");
  CHECK(error_without("/vsock", "cid") == "ch-additions.json: vsock.cid: missing");
  CHECK(error_without("/landlock/0", "access") == "ch-additions.json: landlock[0].access: missing");
}

TEST_CASE("additions: a file that is too large, too deep or no JSON is refused") {
  CHECK(error_of_text(std::string(65537, ' ')) == "ch-additions.json: larger than 65536 bytes");
  CHECK(error_of_text(std::string(60000, '[')).find("nested deeper") != std::string::npos);
  CHECK(error_of_text("{").starts_with("ch-additions.json: malformed JSON at byte"));
  CHECK(error_of_text("[]") == "ch-additions.json: the file: not an object");
}
