// SPDX-License-Identifier: Apache-2.0
#include "ch/command_line.hpp"

#include <catch2/catch_test_macros.hpp>

#include "lib/base/error.hpp"

using namespace husk;
using namespace husk::ch;

namespace {

constexpr const char* emulator = "/run/husk-vm/1/cloud-hypervisor";

std::string refusal_of(const std::vector<std::string>& arguments) {
  try {
    read_command_line(arguments);
  } catch (const Error& e) {
    return e.what();
  }
  return "no error";
}

}  // namespace

TEST_CASE("command line: what libvirt 9.0 and 11.3 call is understood") {
  const CommandLine old = read_command_line({emulator, "--api-socket", "fd=23"});
  CHECK(old.folder == "/run/husk-vm/1");
  CHECK(old.api_socket == 23);
  CHECK_FALSE(old.event_monitor);
  CHECK_FALSE(old.asks_version);
  const CommandLine line = read_command_line(
      {emulator, "-v", "--api-socket", "fd=23", "--event-monitor", "path=/run/a b"});
  CHECK(line.api_socket == 23);
  CHECK(line.event_monitor == "/run/a b");
}

TEST_CASE("command line: a value may follow after an equals sign") {
  const CommandLine line =
      read_command_line({emulator, "--api-socket=fd=4", "--event-monitor=path=/f"});
  CHECK(line.api_socket == 4);
  CHECK(line.event_monitor == "/f");
}

TEST_CASE("command line: the question for the version needs no socket") {
  CHECK(read_command_line({emulator, "--version"}).asks_version);
  CHECK(read_command_line({emulator, "-V"}).asks_version);
}

TEST_CASE("command line: what is not libvirt's is refused") {
  CHECK(refusal_of({}) == "only libvirt may run this program, by a link to it");
  CHECK(refusal_of({"husk-ch"}) == "only libvirt may run this program, by a link to it");
  CHECK(refusal_of({emulator}) == "--api-socket: missing");
  CHECK(refusal_of({emulator, "--api-socket"}) == "--api-socket: missing");
  for (const char* value : {"path=/s", "/s", "fd=", "fd=x", "fd=2", "fd=-1", "fd=3x"})
    CHECK(refusal_of({emulator, "--api-socket", value}) ==
          "--api-socket: not fd=N: \"" + std::string(value) + "\"");
}
