// SPDX-License-Identifier: Apache-2.0
#include "lib/runtime/host/cloud_hypervisor.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_exception.hpp>
#include <filesystem>
#include <fstream>

#include "lib/base/error.hpp"
#include "test/lib/base/scratch.hpp"

using namespace husk;
using namespace husk::runtime;
using Catch::Matchers::Message;

namespace {

std::string make_printer(const test::Scratch& scratch, const std::string& text) {
  const std::filesystem::path path = scratch.path() / "ch";
  std::ofstream(path) << "#!/bin/sh\necho '" << text << "'\n";
  std::filesystem::permissions(path, std::filesystem::perms(0755));
  return path;
}

}  // namespace

TEST_CASE("cloud hypervisor: its version is read, and another program is told", "[runtime]") {
  CHECK(cloud_hypervisor_version("cloud-hypervisor v53.0.0\n") == "53.0.0");
  CHECK(cloud_hypervisor_version("cloud-hypervisor v36.0-12-gabcdef-dirty\n") == "36.0");
  for (const char* other : {"", "cloud-hypervisor v\n", "cloud-hypervisor vx.1", "QEMU emulator v5",
                            "cloud-hypervisor v99999999999999.0"}) {
    CAPTURE(other);
    CHECK_FALSE(cloud_hypervisor_version(other));
  }
}

TEST_CASE("cloud hypervisor: one that is too old, or none, is refused by name", "[runtime]") {
  const test::Scratch scratch;
  const std::string path = make_printer(scratch, "cloud-hypervisor v36.0");
  CHECK(identify_cloud_hypervisor(path) == "36.0");
  make_printer(scratch, "cloud-hypervisor v35.2.1");
  CHECK_THROWS_MATCHES(identify_cloud_hypervisor(path), Error,
                       Message(path + ": version 35.2.1 is too old: 36.0 or later is needed"));
  make_printer(scratch, "hello");
  CHECK_THROWS_MATCHES(identify_cloud_hypervisor(path), Error,
                       Message(path + " is no cloud-hypervisor: --version printed \"hello\""));
  const std::string none = scratch.path() / "none";
  CHECK_THROWS_MATCHES(
      find_cloud_hypervisor(none), Error,
      Message("hypervisor.cloud_hypervisor: " + none + " is not a program that can be executed"));
}
