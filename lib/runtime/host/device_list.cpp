// SPDX-License-Identifier: Apache-2.0
#include "lib/runtime/host/device_list.hpp"

#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstddef>

#include "lib/base/error.hpp"
#include "lib/base/files.hpp"

namespace husk::runtime {
namespace {

constexpr unsigned memory = 1, tty = 5, misc = 10,
                   pts = 136;  // Documentation/admin-guide/devices.txt

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
bpf_insn jump(unsigned comparison, unsigned left, int value, int skipped) {
  return instruction(BPF_JMP | comparison | BPF_K, left, 0, skipped, value);
}

bpf_insn copy(unsigned destination, unsigned source) {
  return instruction(BPF_ALU64 | BPF_MOV | BPF_X, destination, source, 0, 0);
}

bpf_insn put(unsigned destination, int value) {
  return instruction(BPF_ALU64 | BPF_MOV | BPF_K, destination, 0, 0, value);
}

bpf_insn leave() { return instruction(BPF_JMP | BPF_EXIT, 0, 0, 0, 0); }

int call_bpf(int command, bpf_attr& attributes) {
  return static_cast<int>(::syscall(SYS_bpf, command, &attributes, sizeof attributes));
}

UniqueFd load_program(const std::vector<bpf_insn>& program) {
  bpf_attr attributes{};
  attributes.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE;
  attributes.insns = reinterpret_cast<__u64>(program.data());
  attributes.insn_cnt = static_cast<__u32>(program.size());
  attributes.license = reinterpret_cast<__u64>("Apache-2.0");
  return UniqueFd{check_sys(call_bpf(BPF_PROG_LOAD, attributes), "load a device filter")};
}

/// The kernel keeps the program for as long as the cgroup is there.
void attach_program(const std::filesystem::path& cgroup) {
  const UniqueFd directory{check_sys(::open(cgroup.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC),
                                     "open " + cgroup.string())};
  const UniqueFd program = load_program(device_program(allowed_devices()));
  bpf_attr attributes{};
  attributes.target_fd = static_cast<__u32>(directory.get());
  attributes.attach_bpf_fd = static_cast<__u32>(program.get());
  attributes.attach_type = BPF_CGROUP_DEVICE;
  attributes.attach_flags = BPF_F_ALLOW_MULTI;
  check_sys(call_bpf(BPF_PROG_ATTACH, attributes), "attach a device filter to " + cgroup.string());
}

/// A device that the cgroup above denies stays denied, as in a container without it.
void allow(const std::filesystem::path& cgroup, const std::string& rule) {
  const std::filesystem::path file = cgroup / "devices.allow";
  const UniqueFd opened{
      check_sys(::open(file.c_str(), O_WRONLY | O_CLOEXEC), "open " + file.string())};
  if (::write(opened.get(), rule.data(), rule.size()) < 0 && errno != EPERM)
    throw_errno("write \"" + rule + "\" to " + file.string());
}

}  // namespace

std::vector<AllowedDevice> allowed_devices() {
  return {{memory, 3}, {memory, 5}, {memory, 7}, {memory, 8}, {memory, 9},  // null zero full random
          {tty, 0},    {tty, 2},    {pts, -1},                              // tty ptmx
          {misc, 200}, {misc, 232}, {misc, 238}, {misc, 241}};  // tun kvm vhost-net vhost-vsock
}

std::vector<bpf_insn> device_program(const std::vector<AllowedDevice>& allowed) {
  constexpr auto access = BPF_REG_2, type = BPF_REG_3, major = BPF_REG_4, minor = BPF_REG_5;
  std::vector<bpf_insn> program{
      load(access, offsetof(bpf_cgroup_dev_ctx, access_type)),
      copy(type, access),
      instruction(BPF_ALU64 | BPF_AND | BPF_K, type, 0, 0, 0xffff),
      instruction(BPF_ALU64 | BPF_RSH | BPF_K, access, 0, 0, 16),
      load(major, offsetof(bpf_cgroup_dev_ctx, major)),
      load(minor, offsetof(bpf_cgroup_dev_ctx, minor)),
      put(BPF_REG_0, 0),
      jump(BPF_JEQ, type, BPF_DEVCG_DEV_CHAR, 1),
      leave(),
      jump(BPF_JSET, access, BPF_DEVCG_ACC_MKNOD, 1),
      instruction(BPF_JMP | BPF_JA, 0, 0, 1, 0),
      leave(),
  };
  for (const AllowedDevice& device : allowed) {
    const bool any_minor = device.minor < 0;
    program.push_back(jump(BPF_JNE, major, static_cast<int>(device.major), any_minor ? 2 : 3));
    if (!any_minor) program.push_back(jump(BPF_JNE, minor, device.minor, 2));
    program.push_back(put(BPF_REG_0, 1));
    program.push_back(leave());
  }
  program.push_back(leave());
  return program;
}

std::vector<std::string> device_rules(const std::vector<AllowedDevice>& allowed) {
  std::vector<std::string> rules;
  rules.reserve(allowed.size());
  for (const AllowedDevice& device : allowed)
    rules.push_back("c " + std::to_string(device.major) + ":" +
                    (device.minor < 0 ? "*" : std::to_string(device.minor)) + " rw");
  return rules;
}

void restrict_devices(const std::filesystem::path& cgroup, bool v2) {
  if (v2) return attach_program(cgroup);
  if (!std::filesystem::exists(cgroup / "devices.deny")) return;
  write_existing(cgroup / "devices.deny", "a");
  for (const std::string& rule : device_rules(allowed_devices())) allow(cgroup, rule);
}

}  // namespace husk::runtime
