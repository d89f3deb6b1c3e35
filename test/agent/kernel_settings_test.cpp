// SPDX-License-Identifier: Apache-2.0
#include "agent/boot/kernel_settings.hpp"

#include <catch2/catch_test_macros.hpp>
#include <filesystem>
#include <fstream>

#include "lib/base/files.hpp"
#include "test/lib/base/scratch.hpp"

using namespace husk;
using namespace husk::agent;
using husk::test::Scratch;

namespace {

/// A /proc/sys of files.
struct Parameters : Scratch {
  Parameters() {
    std::filesystem::create_directories(path() / "vm");
    set("vm/max_map_count", "65530\n");
    set("vm/three", "4096\t16384\t4194304\n");
  }
  void set(const char* name, const char* value) const { std::ofstream(path() / name) << value; }
  std::string get(const char* name) const { return read_file(path() / name, 100); }
};

}  // namespace

TEST_CASE("kernel settings: the larger of two numbers, one by one", "[agent]") {
  CHECK(larger_numbers("65530\n", "262144") == "262144");
  CHECK(larger_numbers("262144\n", "65530") == "262144\n");
  CHECK(larger_numbers("7\n", "7") == "7\n");
  CHECK(larger_numbers("4096\t16384\t4194304\n", "1024 87380 6291456") == "4096 87380 6291456");
  CHECK(larger_numbers("9223372036854775807\n", "18446744073709551615") == "18446744073709551615");
}

TEST_CASE("kernel settings: what cannot be compared stays", "[agent]") {
  CHECK(larger_numbers("1 2\n", "3") == "1 2\n");
  CHECK(larger_numbers("cubic\n", "9") == "cubic\n");
  CHECK(larger_numbers("1\n", "-5") == "1\n");
  CHECK(larger_numbers("1\n", "18446744073709551616") == "1\n");
  CHECK(larger_numbers("", "5").empty());
}

TEST_CASE("kernel settings: the host's are raised to, the administrator's are set", "[agent]") {
  const Parameters parameters;
  const auto applied = apply_kernel_settings({.at_least = {{"vm/max_map_count", "262144"},
                                                           {"vm/three", "1\t2\t3"},
                                                           {"vm/of_another_kernel", "1"}},
                                              .exact = {{"vm/three", "1 2 3"}}},
                                             parameters.path());
  CHECK_FALSE(applied.refusal);
  CHECK(applied.changed == std::set<std::string>{"vm/max_map_count", "vm/three"});
  CHECK(parameters.get("vm/max_map_count").starts_with("262144"));
  CHECK(parameters.get("vm/three").starts_with("1 2 3"));
  CHECK_FALSE(std::filesystem::exists(parameters.path() / "vm/of_another_kernel"));
}

TEST_CASE("kernel settings: one of the administrator's that this kernel lacks is named",
          "[agent]") {
  const Parameters parameters;
  const auto applied =
      apply_kernel_settings({.at_least = {}, .exact = {{"vm/nonsense", "1"}}}, parameters.path());
  CHECK(
      applied.refusal ==
      "vm.sysctl: vm.nonsense: the guest's kernel has no such parameter, or not before a module is "
      "loaded");
}

TEST_CASE("kernel settings: without the file there are none", "[agent]") {
  const Scratch scratch;
  CHECK(load_kernel_settings(scratch.path() / "none").at_least.empty());
  const guestcomm::KernelSettings settings{.at_least = {{"a/b", "1"}}, .exact = {{"c/d", "2"}}};
  std::ofstream(scratch.path() / "some") << to_text(settings);
  CHECK(load_kernel_settings(scratch.path() / "some").exact == settings.exact);
}
