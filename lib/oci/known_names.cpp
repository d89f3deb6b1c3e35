// SPDX-License-Identifier: Apache-2.0
#include "lib/oci/known_names.hpp"

#include <array>

namespace husk::oci {
namespace {

template <class... T>
constexpr auto list(T... names) {
  return std::array<std::string_view, sizeof...(T)>{names...};
}

constexpr auto hooks =
    list("prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop");

// agent/setup/mount_options.cpp; those of the superblock are read by the kernel (fsconfig(2)).
constexpr auto options =
    list("async", "atime", "bind", "defaults", "dev", "diratime", "dirsync", "exec", "mand",
         "noatime", "nodev", "nodiratime", "noexec", "nomand", "norelatime", "nostrictatime",
         "nosuid", "nosymfollow", "private", "ratime", "rbind", "rdev", "rdiratime", "relatime",
         "remount", "rexec", "rnoatime", "rnodev", "rnodiratime", "rnoexec", "rnorelatime",
         "rnostrictatime", "rnosuid", "rnosymfollow", "ro", "rprivate", "rrelatime", "rro", "rrw",
         "rshared", "rslave", "rstrictatime", "rsuid", "rsymfollow", "runbindable", "rw", "shared",
         "slave", "strictatime", "suid", "symfollow", "sync", "tmpcopyup", "unbindable");

constexpr auto namespaces = list("cgroup", "ipc", "mount", "network", "pid", "uts");

constexpr auto rlimits =
    list("RLIMIT_AS", "RLIMIT_CORE", "RLIMIT_CPU", "RLIMIT_DATA", "RLIMIT_FSIZE", "RLIMIT_LOCKS",
         "RLIMIT_MEMLOCK", "RLIMIT_MSGQUEUE", "RLIMIT_NICE", "RLIMIT_NOFILE", "RLIMIT_NPROC",
         "RLIMIT_RSS", "RLIMIT_RTPRIO", "RLIMIT_RTTIME", "RLIMIT_SIGPENDING", "RLIMIT_STACK");

constexpr auto capabilities = list(
    "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_DAC_READ_SEARCH", "CAP_FOWNER", "CAP_FSETID", "CAP_KILL",
    "CAP_SETGID", "CAP_SETUID", "CAP_SETPCAP", "CAP_LINUX_IMMUTABLE", "CAP_NET_BIND_SERVICE",
    "CAP_NET_BROADCAST", "CAP_NET_ADMIN", "CAP_NET_RAW", "CAP_IPC_LOCK", "CAP_IPC_OWNER",
    "CAP_SYS_MODULE", "CAP_SYS_RAWIO", "CAP_SYS_CHROOT", "CAP_SYS_PTRACE", "CAP_SYS_PACCT",
    "CAP_SYS_ADMIN", "CAP_SYS_BOOT", "CAP_SYS_NICE", "CAP_SYS_RESOURCE", "CAP_SYS_TIME",
    "CAP_SYS_TTY_CONFIG", "CAP_MKNOD", "CAP_LEASE", "CAP_AUDIT_WRITE", "CAP_AUDIT_CONTROL",
    "CAP_SETFCAP", "CAP_MAC_OVERRIDE", "CAP_MAC_ADMIN", "CAP_SYSLOG", "CAP_WAKE_ALARM",
    "CAP_BLOCK_SUSPEND", "CAP_AUDIT_READ", "CAP_PERFMON", "CAP_BPF", "CAP_CHECKPOINT_RESTORE");

constexpr auto actions =
    list("SCMP_ACT_ALLOW", "SCMP_ACT_ERRNO", "SCMP_ACT_KILL", "SCMP_ACT_KILL_PROCESS",
         "SCMP_ACT_KILL_THREAD", "SCMP_ACT_LOG", "SCMP_ACT_TRACE", "SCMP_ACT_TRAP");

constexpr auto operators = list("SCMP_CMP_EQ", "SCMP_CMP_GE", "SCMP_CMP_GT", "SCMP_CMP_LE",
                                "SCMP_CMP_LT", "SCMP_CMP_MASKED_EQ", "SCMP_CMP_NE");

// Architectures of the guest's byte order: libseccomp has no filter for both orders.
constexpr auto architectures =
    list("SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM", "SCMP_ARCH_MIPSEL", "SCMP_ARCH_MIPSEL64",
         "SCMP_ARCH_MIPSEL64N32", "SCMP_ARCH_PPC64LE", "SCMP_ARCH_RISCV64", "SCMP_ARCH_X32",
         "SCMP_ARCH_X86", "SCMP_ARCH_X86_64");

constexpr auto filter_flags =
    list("SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_SPEC_ALLOW", "SECCOMP_FILTER_FLAG_TSYNC");

constexpr auto propagation = list("private", "rprivate", "rshared", "rslave", "runbindable",
                                  "shared", "slave", "unbindable");

constexpr auto policies = list("SCHED_BATCH", "SCHED_DEADLINE", "SCHED_FIFO", "SCHED_IDLE",
                               "SCHED_ISO", "SCHED_OTHER", "SCHED_RR");

constexpr auto policy_flags =
    list("SCHED_FLAG_DL_OVERRUN", "SCHED_FLAG_KEEP_PARAMS", "SCHED_FLAG_KEEP_POLICY",
         "SCHED_FLAG_RECLAIM", "SCHED_FLAG_RESET_ON_FORK", "SCHED_FLAG_UTIL_CLAMP_MAX",
         "SCHED_FLAG_UTIL_CLAMP_MIN");

constexpr auto io_classes = list("IOPRIO_CLASS_BE", "IOPRIO_CLASS_IDLE", "IOPRIO_CLASS_RT");

constexpr auto domains = list("LINUX", "LINUX32");

}  // namespace

const Names hook_names{hooks};
const Names mount_options{options};
const Names supported_namespaces{namespaces};
const Names rlimit_names{rlimits};
const Names capability_names{capabilities};
const Names seccomp_actions{actions};
const Names seccomp_operators{operators};
const Names seccomp_architectures{architectures};
const Names seccomp_flags{filter_flags};
const Names propagation_names{propagation};
const Names scheduler_policies{policies};
const Names scheduler_flags{policy_flags};
const Names io_priority_classes{io_classes};
const Names personality_domains{domains};

}  // namespace husk::oci
