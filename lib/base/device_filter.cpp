// SPDX-License-Identifier: Apache-2.0
#include "lib/base/device_filter.hpp"

#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstddef>
#include <utility>

#include "lib/base/error.hpp"

namespace husk {
namespace {

constexpr unsigned asked = BPF_REG_2, type_of = BPF_REG_3, major_of = BPF_REG_4,
                   minor_of = BPF_REG_5;
using Program = std::vector<bpf_insn>;

bpf_insn instruction(unsigned code, unsigned destination, unsigned source, int offset, int value) {
  bpf_insn made{};
  made.code = static_cast<__u8>(code);
  made.dst_reg = destination & 0xfU;
  made.src_reg = source & 0xfU;
  made.off = static_cast<__s16>(offset);
  made.imm = value;
  return made;
}

bpf_insn load(unsigned destination, std::size_t offset) {
  return instruction(BPF_LDX | BPF_MEM | BPF_W, destination, BPF_REG_1, static_cast<int>(offset),
                     0);
}

/// Jumps over `skipped` instructions if the register and the value compare so.
bpf_insn jump(unsigned comparison, unsigned left, unsigned value, std::size_t skipped) {
  return instruction(BPF_JMP32 | comparison | BPF_K, left, 0, static_cast<int>(skipped),
                     static_cast<int>(value));
}

bpf_insn put(unsigned destination, int value) {
  return instruction(BPF_ALU64 | BPF_MOV | BPF_K, destination, 0, 0, value);
}

bpf_insn leave() { return instruction(BPF_JMP | BPF_EXIT, 0, 0, 0, 0); }

bool has_all(const DeviceFilterRule& rule) {
  return (rule.access & any_device_access) == any_device_access;
}

/// What happens where the rule is about the device. BPF_REG_0 is 0.
Program decide(const DeviceFilterRule& rule) {
  if (rule.allow) {
    if (has_all(rule)) return {put(BPF_REG_0, 1), leave()};
    return {instruction(BPF_ALU64 | BPF_AND | BPF_K, asked, 0, 0, static_cast<int>(~rule.access)),
            jump(BPF_JNE, asked, 0, 2), put(BPF_REG_0, 1), leave()};
  }
  if (has_all(rule)) return {leave()};
  return {jump(BPF_JSET, asked, rule.access, 1), instruction(BPF_JMP | BPF_JA, 0, 0, 1, 0),
          leave()};
}

/// Skips the decision for other devices.
Program rule_part(const DeviceFilterRule& rule) {
  const Program decision = decide(rule);
  std::vector<std::pair<unsigned, std::uint32_t>> conditions;
  if (rule.type) conditions.emplace_back(type_of, *rule.type);
  if (rule.major) conditions.emplace_back(major_of, *rule.major);
  if (rule.minor) conditions.emplace_back(minor_of, *rule.minor);
  Program part;
  for (std::size_t i = 0; i < conditions.size(); ++i)
    part.push_back(jump(BPF_JNE, conditions[i].first, conditions[i].second,
                        conditions.size() - 1 - i + decision.size()));
  part.insert(part.end(), decision.begin(), decision.end());
  return part;
}

bool is_about_everything(const DeviceFilterRule& rule) {
  return !rule.type && !rule.major && !rule.minor && has_all(rule);
}

int call_bpf(int command, bpf_attr& attributes) {
  return static_cast<int>(::syscall(SYS_bpf, command, &attributes, sizeof attributes));
}

UniqueFd load_program(const Program& program) {
  bpf_attr attributes{};
  attributes.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE;
  attributes.insns = reinterpret_cast<__u64>(program.data());
  attributes.insn_cnt = static_cast<__u32>(program.size());
  attributes.license = reinterpret_cast<__u64>("Apache-2.0");
  return UniqueFd{check_sys(call_bpf(BPF_PROG_LOAD, attributes), "load a device filter")};
}

}  // namespace

Program device_filter_program(const std::vector<DeviceFilterRule>& rules) {
  Program program{
      load(asked, offsetof(bpf_cgroup_dev_ctx, access_type)),
      instruction(BPF_ALU64 | BPF_MOV | BPF_X, type_of, asked, 0, 0),
      instruction(BPF_ALU64 | BPF_AND | BPF_K, type_of, 0, 0, 0xffff),
      instruction(BPF_ALU64 | BPF_RSH | BPF_K, asked, 0, 0, 16),
      load(major_of, offsetof(bpf_cgroup_dev_ctx, major)),
      load(minor_of, offsetof(bpf_cgroup_dev_ctx, minor)),
      put(BPF_REG_0, 0),
  };
  for (auto rule = rules.rbegin(); rule != rules.rend(); ++rule) {
    const Program part = rule_part(*rule);
    program.insert(program.end(), part.begin(), part.end());
    // The kernel refuses a program with instructions that are never reached.
    if (is_about_everything(*rule)) return program;
  }
  program.push_back(leave());
  return program;
}

void attach_device_filter(const std::filesystem::path& cgroup,
                          const std::vector<DeviceFilterRule>& rules) {
  const UniqueFd directory{check_sys(::open(cgroup.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC),
                                     "open " + cgroup.string())};
  const UniqueFd program = load_program(device_filter_program(rules));
  bpf_attr attributes{};
  attributes.target_fd = static_cast<__u32>(directory.get());
  attributes.attach_bpf_fd = static_cast<__u32>(program.get());
  attributes.attach_type = BPF_CGROUP_DEVICE;
  attributes.attach_flags = BPF_F_ALLOW_MULTI;
  check_sys(call_bpf(BPF_PROG_ATTACH, attributes), "attach a device filter to " + cgroup.string());
}

}  // namespace husk
