// SPDX-License-Identifier: Apache-2.0
// By bpf(2) as it is: four calls. libbpf, which would also read ELF files and relocate them, is a
// library more to load at each start of a container.
#include "lib/network/socket_lookup.hpp"

#include <arpa/inet.h>
#include <linux/bpf.h>
#include <netinet/in.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "lib/base/error.hpp"

namespace husk::network {
namespace {

using Program = std::vector<bpf_insn>;
using Register = std::uint8_t;

int bpf(bpf_cmd command, bpf_attr& attributes) {
  return static_cast<int>(::syscall(SYS_bpf, command, &attributes, sizeof attributes));
}

std::uint64_t address_of(const void* what) { return reinterpret_cast<std::uint64_t>(what); }

/// A map with one element: the kernel's programs find sockets only in such.
UniqueFd make_socket_map(int socket) {
  bpf_attr made{};
  made.map_type = BPF_MAP_TYPE_SOCKMAP;
  made.key_size = sizeof(std::uint32_t);
  made.value_size = sizeof(std::uint64_t);
  made.max_entries = 1;
  UniqueFd map{check_sys(bpf(BPF_MAP_CREATE, made), "make a map of sockets")};
  const std::uint32_t key = 0;
  const auto value = static_cast<std::uint64_t>(socket);
  bpf_attr put{};
  put.map_fd = static_cast<std::uint32_t>(map.get());
  put.key = address_of(&key);
  put.value = address_of(&value);
  check_sys(bpf(BPF_MAP_UPDATE_ELEM, put), "put a socket into a map");
  return map;
}

constexpr bpf_insn instruction(int code, Register to, Register from, std::size_t offset,
                               std::uint32_t value) {
  bpf_insn made{};
  made.code = static_cast<std::uint8_t>(code);
  made.dst_reg = to & 0xf;  // so many bits it has
  made.src_reg = from & 0xf;
  made.off = static_cast<std::int16_t>(offset);
  made.imm = static_cast<std::int32_t>(value);
  return made;
}
constexpr Register result = BPF_REG_0, first = BPF_REG_1, second = BPF_REG_2, third = BPF_REG_3,
                   context = BPF_REG_6, socket_found = BPF_REG_7, stack = BPF_REG_10;
constexpr int key_offset = -4;  ///< from the stack's end

constexpr bpf_insn load(std::size_t member) {
  return instruction(BPF_LDX | BPF_MEM | BPF_W, second, context, member, 0);
}
/// Skips so many instructions.
constexpr bpf_insn unless_equal(std::uint32_t value, std::size_t skipped) {
  return instruction(BPF_JMP32 | BPF_JNE | BPF_K, second, 0, skipped, value);
}
constexpr bpf_insn move(Register to, Register from) {
  return instruction(BPF_ALU64 | BPF_MOV | BPF_X, to, from, 0, 0);
}
constexpr bpf_insn set(Register to, std::uint32_t value) {
  return instruction(BPF_ALU64 | BPF_MOV | BPF_K, to, 0, 0, value);
}
constexpr bpf_insn call(bpf_func_id function) {
  return instruction(BPF_JMP | BPF_CALL, 0, 0, 0, function);
}

constexpr std::size_t ipv6_word(std::size_t n) {
  return offsetof(bpf_sk_lookup, local_ip6) + n * sizeof(std::uint32_t);
}

/// Who is in the map gets it. A connection of the other kinds, or with nobody in the map, is looked
/// up by the kernel as ever.
Program loopback_program(int map) {
  return {move(context, first),
          load(offsetof(bpf_sk_lookup, protocol)),
          unless_equal(IPPROTO_TCP, 27),
          load(offsetof(bpf_sk_lookup, family)),
          unless_equal(AF_INET, 3),
          load(offsetof(bpf_sk_lookup, local_ip4)),
          unless_equal(htonl(INADDR_LOOPBACK), 23),
          instruction(BPF_JMP | BPF_JA, 0, 0, 8, 0),
          load(ipv6_word(0)),
          unless_equal(0, 20),
          load(ipv6_word(1)),
          unless_equal(0, 18),
          load(ipv6_word(2)),
          unless_equal(0, 16),
          load(ipv6_word(3)),
          unless_equal(htonl(1), 14),
          instruction(BPF_ST | BPF_MEM | BPF_W, stack, 0, static_cast<std::size_t>(key_offset), 0),
          move(second, stack),
          instruction(BPF_ALU64 | BPF_ADD, second, 0, 0,  // BPF_K is 0
                      static_cast<std::uint32_t>(key_offset)),
          instruction(BPF_LD | BPF_DW, first,  // BPF_IMM is 0
                      BPF_PSEUDO_MAP_FD, 0, static_cast<std::uint32_t>(map)),
          instruction(0, 0, 0, 0, 0),  // the upper half of its operand
          call(BPF_FUNC_map_lookup_elem),
          instruction(BPF_JMP | BPF_JEQ | BPF_K, result, 0, 7, 0),
          move(socket_found, result),
          move(first, context),
          move(second, socket_found),
          set(third, 0),
          call(BPF_FUNC_sk_assign),
          move(first, socket_found),
          call(BPF_FUNC_sk_release),
          set(result, SK_PASS),
          instruction(BPF_JMP | BPF_EXIT, 0, 0, 0, 0)};
}

UniqueFd load_program(const Program& program) {
  bpf_attr loaded{};
  loaded.prog_type = BPF_PROG_TYPE_SK_LOOKUP;
  loaded.expected_attach_type = BPF_SK_LOOKUP;
  loaded.insns = address_of(program.data());
  loaded.insn_cnt = static_cast<std::uint32_t>(program.size());
  loaded.license = address_of("Apache-2.0");
  const int fd = bpf(BPF_PROG_LOAD, loaded);
  if (fd < 0 && errno == EINVAL)
    throw Error(Errc::unsupported, "the kernel has no BPF programs that pick sockets", EINVAL);
  return UniqueFd{check_sys(fd, "load a BPF program")};
}

}  // namespace

UniqueFd steer_loopback(const NetworkNamespace& in, int listener) {
  const UniqueFd map = make_socket_map(listener);
  const UniqueFd program = load_program(loopback_program(map.get()));
  bpf_attr attached{};
  attached.link_create.prog_fd = static_cast<std::uint32_t>(program.get());
  attached.link_create.target_fd = static_cast<std::uint32_t>(in.fd());
  attached.link_create.attach_type = BPF_SK_LOOKUP;
  return UniqueFd{check_sys(bpf(BPF_LINK_CREATE, attached), "attach a BPF program")};
}

}  // namespace husk::network
