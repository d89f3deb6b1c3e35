// SPDX-License-Identifier: Apache-2.0
// What `husk features` claims, put to what the agent does: the two read different tables.
#include <fcntl.h>
#include <linux/mount.h>
#include <seccomp.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <nlohmann/json.hpp>
#include <set>

#include "agent/setup/capabilities.hpp"
#include "agent/setup/mount_options.hpp"
#include "agent/setup/namespaces.hpp"
#include "agent/setup/seccomp.hpp"
#include "lib/base/error.hpp"
#include "lib/base/unique_fd.hpp"
#include "lib/oci/features.hpp"

using namespace husk::agent;
using husk::oci::Seccomp;
using nlohmann::json;

namespace {

std::vector<std::string> claimed(const char* pointer) {
  const json all = husk::oci::features();
  auto names = all.at(json::json_pointer(pointer)).get<std::vector<std::string>>();
  REQUIRE_FALSE(names.empty());
  return names;
}

/// What the agent makes of one option alone, as text; the empty string if it is without effect.
std::string effect_of(const std::string& option) {
  const MountOptions parsed = parse_mount_options({option});
  std::string effect;
  const auto add = [&](const char* name, std::uint64_t value) {
    if (value != 0) effect += std::string(name) + std::to_string(value) + " ";
  };
  add("bind", parsed.bind);
  add("recursive", parsed.recursive_bind);
  add("remount", parsed.remount);
  add("copy up", parsed.copy_up);
  add("set", parsed.attributes.set);
  add("clear", parsed.attributes.clear);
  add("set below", parsed.tree_attributes.set);
  add("clear below", parsed.tree_attributes.clear);
  for (const auto& change : parsed.propagation)
    add(change.recursive ? "propagation below" : "propagation", change.type);
  for (const auto& data : parsed.filesystem) effect += "data " + data.first;
  return effect;
}

/// Whether a file system takes it as a word of its own.
bool kernel_takes(const std::string& option) {
  const husk::UniqueFd context{static_cast<int>(::syscall(SYS_fsopen, "tmpfs", FSOPEN_CLOEXEC))};
  REQUIRE(context);
  return ::syscall(SYS_fsconfig, context.get(), FSCONFIG_SET_FLAG, option.c_str(), nullptr, 0) == 0;
}

Seccomp with_rule(const std::string& action, const std::string& op) {
  Seccomp seccomp;
  seccomp.default_action = action == "SCMP_ACT_ALLOW" ? "SCMP_ACT_ERRNO" : "SCMP_ACT_ALLOW";
  seccomp.syscalls = {{{"getpgid"}, action, {}, {{0, 5, 5, op}}}};
  return seccomp;
}

}  // namespace

TEST_CASE("features: each mount option that is claimed does something in the agent", "[root]") {
  if (::geteuid() != 0) SKIP("needs root: asks the kernel for a file system");
  // What these ask for is so anyway.
  const std::set<std::string> defaults{"async", "defaults"};
  for (const std::string& option : claimed("/mountOptions")) {
    CAPTURE(option);
    const std::string effect = effect_of(option);
    CHECK(effect.empty() == defaults.contains(option));
    if (effect.starts_with("data ")) CHECK(kernel_takes(option));
  }
  CHECK_FALSE(kernel_takes("nonsense"));
}

TEST_CASE("features: recursive mount options are not their plain ones", "[root]") {
  for (const std::string& option : claimed("/mountOptions")) {
    if (option.front() != 'r' || effect_of(option.substr(1)).empty()) continue;
    CAPTURE(option);
    CHECK(effect_of(option) != effect_of(option.substr(1)));
  }
}

TEST_CASE("features: each capability that is claimed is one of the agent's, in order") {
  int number = 0;
  for (const std::string& name : claimed("/linux/capabilities")) {
    CAPTURE(name);
    CHECK(find_capability(name) == number++);
  }
}

TEST_CASE("features: a filter can be made with each seccomp action and operator") {
  for (const std::string& action : claimed("/linux/seccomp/actions")) {
    CAPTURE(action);
    CHECK_FALSE(SeccompProgram(with_rule(action, "SCMP_CMP_EQ")).instructions().empty());
  }
  std::set<std::vector<std::string>> filters;
  const auto operators = claimed("/linux/seccomp/operators");
  for (const std::string& op : operators) {
    CAPTURE(op);
    const SeccompProgram program(with_rule("SCMP_ACT_ERRNO", op));
    std::vector<std::string> instructions;
    for (const auto& one : program.instructions())
      instructions.push_back(std::to_string(one.code) + " " + std::to_string(one.jt) + " " +
                             std::to_string(one.jf) + " " + std::to_string(one.k));
    filters.insert(std::move(instructions));
  }
  CHECK(filters.size() + 1 >= operators.size());  // x & 5 == 5 and x == 5 differ as well
}

TEST_CASE("features: a filter can be made for each seccomp architecture") {
  for (const std::string& architecture : claimed("/linux/seccomp/archs")) {
    CAPTURE(architecture);
    Seccomp seccomp = with_rule("SCMP_ACT_ERRNO", "SCMP_CMP_EQ");
    seccomp.architectures = {architecture};
    CHECK_NOTHROW(SeccompProgram(seccomp));
  }
}

TEST_CASE("features: each namespace that is claimed is made by the agent") {
  for (const std::string& type : claimed("/linux/namespaces")) {
    CAPTURE(type);
    husk::oci::Spec spec;
    spec.linux_.namespaces.push_back({type, {}});
    CHECK_NOTHROW(clone_flags(spec));
    CHECK(has_namespace(spec, type));
  }
}
