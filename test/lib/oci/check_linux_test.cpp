// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch_test_macros.hpp>

#include "lib/oci/check.hpp"
#include "lib/oci/example.hpp"
#include "lib/oci/sysctl_name.hpp"
#include "test/lib/oci/fixtures.hpp"

namespace husk::oci::test {
namespace {

std::string refusal_after(const std::function<void(Linux&)>& change,
                          Errc code = Errc::invalid_argument) {
  Spec spec = example_spec(false, 0, 0);
  change(spec.linux_);
  const Failure failure = failure_of([&] { check_spec(spec); });
  CHECK(failure.code == code);
  return failure.text;
}

void accept_after(const std::function<void(Linux&)>& change) {
  Spec spec = example_spec(false, 0, 0);
  change(spec.linux_);
  CHECK_NOTHROW(check_spec(spec));
}

void drop(Linux& section, const std::string& type) {
  std::erase_if(section.namespaces, [&](const Namespace& ns) { return ns.type == type; });
}

Device device(const char* type, std::optional<std::int64_t> major,
              std::optional<std::int64_t> minor) {
  return {.type = type,
          .path = "/dev/x",
          .major = major,
          .minor = minor,
          .file_mode = 0020660,
          .uid = {},
          .gid = {}};
}

}  // namespace

TEST_CASE("check: namespaces are known, once each, joined by path for the network only", "[oci]") {
  const auto add = [](const char* type, std::optional<std::string> path) {
    return [=](Linux& section) { section.namespaces.push_back({.type = type, .path = path}); };
  };
  accept_after(add("cgroup", {}));
  accept_after(add("time", {}));  // Docker's default since v27
  accept_after([](Linux& section) { section.namespaces.at(1).path = "/run/netns/x"; });
  CHECK(refusal_after(add("net", {})) ==
        "linux.namespaces[5].type: unknown namespace type \"net\"");
  CHECK(refusal_after(add("pid", {})) == "linux.namespaces[5].type: pid is given twice");
  CHECK(refusal_after([](Linux& section) { section.namespaces.at(1).path = "netns"; }) ==
        "linux.namespaces[1].path: \"netns\" is not an absolute path");
  accept_after([](Linux& section) { section.namespaces.at(0).path = "/proc/7/ns/pid"; });
  CHECK(refusal_after(add("cgroup", "/proc/7/ns/cgroup"), Errc::unsupported) ==
        "linux.namespaces[5]: joining the cgroup namespace \"/proc/7/ns/cgroup\" is not supported");
  CHECK(refusal_after(add("user", {}), Errc::unsupported) ==
        "linux.namespaces: a user namespace is not supported");
}

TEST_CASE("check: what needs a namespace is refused without it", "[oci]") {
  CHECK(refusal_after([](Linux& section) {
          section.uid_mappings = {{.container_id = 0, .host_id = 0, .size = 1}};
        }) == "linux.uidMappings, linux.gidMappings: need a user namespace");
  CHECK(refusal_after([](Linux& section) { section.time_offsets["boottime"] = {}; }) ==
        "linux.timeOffsets: needs a time namespace");
  CHECK(refusal_after([](Linux& section) { drop(section, "uts"); }) ==
        "hostname: needs a uts namespace");
  CHECK(refusal_after([](Linux& section) { drop(section, "mount"); }) ==
        "linux.maskedPaths, linux.readonlyPaths: need a mount namespace");
}

TEST_CASE("check: what cannot work in a VM is unsupported", "[oci]") {
  CHECK(refusal_after([](Linux& section) { section.has_intel_rdt = true; }, Errc::unsupported) ==
        "linux.intelRdt: cache allocation is not supported");
  CHECK(
      refusal_after([](Linux& section) { section.net_devices["eth1"] = {}; }, Errc::unsupported) ==
      "linux.netDevices: moving network devices is not supported");
  CHECK(refusal_after([](Linux& section) { section.memory_policy.emplace().mode = "MPOL_BIND"; },
                      Errc::unsupported) == "linux.memoryPolicy: a NUMA policy is not supported");
  accept_after([](Linux& section) { section.memory_policy.emplace(); });
  CHECK(refusal_after(
            [](Linux& section) {
              section.namespaces.push_back({.type = "time", .path = {}});
              section.time_offsets["boottime"].secs = 5;
            },
            Errc::unsupported) == "linux.timeOffsets: offsets are not supported");
}

TEST_CASE("check: devices have a known type, a path and numbers that Linux has", "[oci]") {
  const auto devices = [](Device one) {
    return [one](Linux& section) { section.devices = {one}; };
  };
  accept_after(devices(device("c", 10, 229)));
  accept_after(devices(device("b", 0, 0)));
  accept_after(devices(device("u", 4095, 1048575)));
  accept_after(devices(device("p", {}, {})));
  CHECK(refusal_after(devices(device("x", 1, 1))) ==
        "linux.devices[0].type: unknown device type \"x\"");
  CHECK(refusal_after(devices(device("c", 1, {}))) ==
        "linux.devices[0]: \"/dev/x\" has no major and minor number");
  for (const auto& odd : {device("c", -1, 1), device("c", 1, -1), device("b", 4096, 1),
                          device("b", 1, 1048576), device("b", INT64_MAX, INT64_MIN)})
    CHECK(refusal_after(devices(odd)) ==
          "linux.devices[0]: \"/dev/x\" has a device number out of range");
  Device relative = device("c", 1, 3);
  relative.path = "dev/null";
  CHECK(refusal_after(devices(relative)) ==
        "linux.devices[0].path: \"dev/null\" is not an absolute path");
  Device mode = device("c", 1, 3);
  mode.file_mode = 0200000;
  CHECK(refusal_after(devices(mode)) == "linux.devices[0].fileMode: 65536 is not a file mode");
}

TEST_CASE("check: resources name cgroup files and device kinds that exist", "[oci]") {
  for (const char* file : {"", "../cgroup.procs", "a/b", ".hidden"})
    CHECK(refusal_after([&](Linux& section) {
            section.resources->unified[file] = "1";
          }).ends_with("is not the name of a cgroup file"));
  accept_after([](Linux& section) { section.resources->unified["memory.high"] = "max"; });
  CHECK(refusal_after([](Linux& section) { section.resources->devices.at(0).access = "rwx"; }) ==
        "linux.resources.devices[0].access: \"rwx\" has letters other than r, w and m");
  CHECK(refusal_after([](Linux& section) { section.resources->devices.at(0).type = "p"; }) ==
        "linux.resources.devices[0].type: unknown device type \"p\"");
}

TEST_CASE("check: seccomp takes known words only, and no supervisor", "[oci]") {
  const auto seccomp = [](const std::function<void(Seccomp&)>& change) {
    return [change](Linux& section) {
      Seccomp& profile = section.seccomp.emplace();
      profile.default_action = "SCMP_ACT_ERRNO";
      profile.syscalls = {
          {.names = {"read"},
           .action = "SCMP_ACT_ALLOW",
           .errno_ret = {},
           .args = {{.index = 5, .value = 0, .value_two = 0, .op = "SCMP_CMP_EQ"}}}};
      change(profile);
    };
  };
  accept_after(seccomp([](Seccomp&) {}));
  const auto refused = [&](const std::function<void(Seccomp&)>& change) {
    return refusal_after(seccomp(change));
  };
  CHECK(refused([](Seccomp& p) { p.default_action = "ALLOW"; }) ==
        "linux.seccomp.defaultAction: unknown value \"ALLOW\"");
  CHECK(refused([](Seccomp& p) { p.architectures = {"x86"}; }) ==
        "linux.seccomp.architectures: unknown value \"x86\"");
  CHECK(refusal_after(seccomp([](Seccomp& p) {
                        p.architectures = {"SCMP_ARCH_X86_64", "SCMP_ARCH_S390X"};
                      }),
                      Errc::unsupported) ==
        "linux.seccomp.architectures: \"SCMP_ARCH_S390X\" is not supported");
  CHECK(refusal_after(seccomp([](Seccomp& p) { p.flags = {"F"}; }), Errc::unsupported) ==
        "linux.seccomp.flags: \"F\" is not supported");
  CHECK(refused([](Seccomp& p) { p.syscalls[0].names.clear(); }) ==
        "linux.seccomp.syscalls[0].names: must not be empty");
  CHECK(refused([](Seccomp& p) { p.syscalls[0].args[0].op = "EQ"; }) ==
        "linux.seccomp.syscalls[0].args.op: unknown value \"EQ\"");
  CHECK(refused([](Seccomp& p) { p.syscalls[0].args[0].index = 6; }) ==
        "linux.seccomp.syscalls[0].args.index: 6 is above 5");
  for (const auto& change : std::vector<std::function<void(Seccomp&)>>{
           [](Seccomp& p) { p.syscalls[0].action = "SCMP_ACT_NOTIFY"; },
           [](Seccomp& p) { p.default_action = "SCMP_ACT_NOTIFY"; },
           [](Seccomp& p) { p.listener_path = "/run/x"; }})
    CHECK(refusal_after(seccomp(change), Errc::unsupported) ==
          "linux.seccomp: SCMP_ACT_NOTIFY is not supported");
}

TEST_CASE("sysctl names: the first separator counts, the other one is a dot", "[oci]") {
  CHECK(parse_sysctl_name("net.ipv4.ip_forward") == "net/ipv4/ip_forward");
  CHECK(parse_sysctl_name("net/ipv4/ip_forward") == "net/ipv4/ip_forward");
  for (const char* name :
       {"net.ipv4.conf.eth0/100.forwarding", "net/ipv4/conf/eth0.100/forwarding"})
    CHECK(parse_sysctl_name(name) == "net/ipv4/conf/eth0.100/forwarding");
  for (const char* name :
       {"net", "net/../kernel/panic", "net./x", "net.a//b.c", "net//x", "net.x."})
    CHECK_FALSE(parse_sysctl_name(name));
}

TEST_CASE("check: sysctls are those of a namespace of the container's own", "[oci]") {
  const auto sysctl = [](const char* key) {
    return [key](Linux& section) { section.sysctl = {{key, "1"}}; };
  };
  for (const char* key :
       {"net.ipv4.ip_forward", "net/ipv4/ip_forward", "net/ipv4/conf/eth0.100/forwarding",
        "net.ipv4.conf.eth0/100.forwarding", "kernel.msgmax", "kernel/shmmax", "kernel.sem",
        "fs.mqueue.msg_max", "fs/mqueue/msg_max", "kernel.domainname"}) {
    INFO(key);
    accept_after(sysctl(key));
  }
  for (const char* key :
       {"kernel.panic", "kernel/panic", "fs/mqueue.x/y", "vm.swappiness", "fs.file-max",
        "kernel.msg", "netfilter.x", "kernel.core_pattern", "fs.mqueuex.y"}) {
    INFO(key);
    CHECK(refusal_after(sysctl(key)).ends_with("is not in a namespace of its own"));
  }
  for (const char* key :
       {"", "net", "net..x", "net/../kernel/core_pattern", "../kernel/panic", "/net/ipv4/x",
        "net.ipv4.", ".net.x", "net.a//b.c", "net./etc.x", "net.ipv4.//../..", "net/./x"}) {
    INFO(key);
    CHECK(refusal_after(sysctl(key)).ends_with("is not the name of a sysctl"));
  }
  CHECK(refusal_after(sysctl("kernel.hostname")) ==
        "linux.sysctl: \"kernel.hostname\" is not allowed, set hostname instead");
  CHECK(refusal_after([&](Linux& section) {
          drop(section, "ipc");
          sysctl("kernel.shmmax")(section);
        }) == "linux.sysctl: \"kernel.shmmax\" needs an ipc namespace");
  CHECK(refusal_after([&](Linux& section) {
          drop(section, "network");
          sysctl("net.x.y")(section);
        }) == "linux.sysctl: \"net.x.y\" needs a network namespace");
}

TEST_CASE("check: masked and read-only paths are absolute, words are known", "[oci]") {
  CHECK(refusal_after([](Linux& section) {
          section.masked_paths = {"/a", "b"};
        }) == "linux.maskedPaths[1]: \"b\" is not an absolute path");
  CHECK(refusal_after([](Linux& section) { section.readonly_paths = {""}; }) ==
        "linux.readonlyPaths[0]: \"\" is not an absolute path");
  CHECK(refusal_after([](Linux& section) { section.rootfs_propagation = "shares"; }) ==
        "linux.rootfsPropagation: unknown value \"shares\"");
  CHECK(refusal_after([](Linux& section) { section.personality.emplace().domain = "BSD"; }) ==
        "linux.personality.domain: unknown value \"BSD\"");
  CHECK(refusal_after(
            [](Linux& section) {
              section.personality = Personality{.domain = "LINUX", .flags = {"X"}};
            },
            Errc::unsupported) == "linux.personality.flags: flags are not supported");
}

}  // namespace husk::oci::test
