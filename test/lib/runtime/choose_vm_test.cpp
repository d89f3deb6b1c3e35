// SPDX-License-Identifier: Apache-2.0
#include "lib/runtime/plan/choose_vm.hpp"

#include <catch2/catch_test_macros.hpp>

#include "lib/base/error.hpp"

using namespace husk;
using namespace husk::runtime;
using Way = guestcomm::NamespaceUse::Way;

namespace {

NetworkFacts network_in(const std::string& vm) {
  return {.path = "/run/netns/n", .is_the_hosts = false, .vm = vm, .tap = {}};
}
NamespaceFacts in_vm(const std::string& type, const std::string& vm) {
  return {.type = type,
          .path = "/proc/7/ns/" + type,
          .id = {.device = 4, .inode = 17},
          .is_the_hosts = false,
          .vm = vm};
}

/// The VM, or the error.
std::string chosen(const std::optional<NetworkFacts>& network,
                   const std::vector<NamespaceFacts>& named) try {
  return choose_vm(network, named);
} catch (const Error& e) {
  return e.what();
}

oci::Spec spec_with(const std::vector<std::string>& types) {
  oci::Spec spec;
  for (const std::string& type : types) spec.linux_.namespaces.push_back({type, {}});
  return spec;
}

/// "pid:make ipc:join", or the error.
std::string planned(const oci::Spec& spec, const std::vector<NamespaceFacts>& named) try {
  std::string text;
  for (const guestcomm::NamespaceUse& use : plan_namespaces(spec, named)) {
    const char* way = use.way == Way::make ? "make" : use.way == Way::join ? "join" : "share";
    text += (text.empty() ? "" : " ") + use.type + ":" + way;
    if (!use.origin.empty()) text += "=" + use.origin;
  }
  return text;
} catch (const Error& e) {
  return e.what();
}

}  // namespace

TEST_CASE("choose_vm: namespaces that are in a VM lead to it", "[runtime]") {
  struct Row {
    std::optional<NetworkFacts> network;
    std::vector<NamespaceFacts> named;
    std::string vm;
  };
  const std::vector<Row> rows{
      {{}, {}, ""},
      {network_in(""), {}, ""},
      {network_in("a"), {}, "a"},
      {network_in("a"), {in_vm("ipc", "a"), in_vm("pid", "a"), in_vm("uts", "a")}, "a"},
      {network_in("a"), {in_vm("ipc", "")}, "a"},  // that namespace is made in the VM
      {network_in(""), {in_vm("ipc", ""), in_vm("uts", "")}, ""},
  };
  for (const Row& row : rows) CHECK(chosen(row.network, row.named) == row.vm);
}

TEST_CASE("choose_vm: two VMs, or a VM without its network, are refused by name", "[runtime]") {
  CHECK(chosen(network_in("a"), {in_vm("pid", "b")}) ==
        "linux.namespaces: the network namespace \"/run/netns/n\" is in VM a, the pid namespace "
        "\"/proc/7/ns/pid\" is in VM b: a container is in one VM");
  CHECK(chosen(network_in("a"), {in_vm("ipc", "a"), in_vm("uts", "c")}) ==
        "linux.namespaces: the network namespace \"/run/netns/n\" is in VM a, the uts namespace "
        "\"/proc/7/ns/uts\" is in VM c: a container is in one VM");
  const std::string alone =
      "linux.namespaces: the ipc namespace \"/proc/7/ns/ipc\" is in VM a, whose network the "
      "container must join as well: a VM has one network (--network container:NAME, or --share "
      "net,ipc for a pod)";
  CHECK(chosen({}, {in_vm("ipc", "a")}) == alone);
  CHECK(chosen(network_in(""), {in_vm("ipc", "a")}) == alone);
}

TEST_CASE("plan_namespaces: joined, made, or kept for a pod", "[runtime]") {
  const oci::Spec all = spec_with({"pid", "ipc", "uts", "network", "mount"});
  CHECK(planned(all, {}) == "pid:make ipc:make uts:make");
  CHECK(planned(all, {in_vm("pid", "a"), in_vm("uts", "a")}) ==
        "pid:join=4:17 ipc:make uts:join=4:17");
  NamespaceFacts pinned{.type = "ipc", .path = "/run/ipcns/u", .id = {.device = 4, .inode = 18}};
  CHECK(planned(all, {pinned}) == "pid:make ipc:share=4:18 uts:make");
  pinned.vm = "a";
  CHECK(planned(all, {pinned}) == "pid:make ipc:join=4:18 uts:make");
}

TEST_CASE("plan_namespaces: one that processes outside of VMs have is refused", "[runtime]") {
  const oci::Spec all = spec_with({"pid", "ipc", "uts"});
  NamespaceFacts used = in_vm("ipc", "");
  used.is_used = true;
  CHECK(
      planned(all, {used}) ==
      "linux.namespaces: the ipc namespace \"/proc/7/ns/ipc\" is not that of a container in a VM");
  const NamespaceFacts pinned{.type = "pid", .path = "/run/pidns/u"};
  CHECK(planned(all, {pinned}) ==
        "linux.namespaces: the pid namespace \"/run/pidns/u\" is not that of a container in a VM");
}

TEST_CASE("plan_namespaces: the host's are the guest's own, and only pid has a name", "[runtime]") {
  CHECK(planned(spec_with({}), {}) == "pid:make");
  oci::Spec spec = spec_with({"pid", "ipc", "uts"});
  std::vector<NamespaceFacts> named;
  for (const char* type : {"pid", "ipc", "uts"})
    named.push_back(
        {.type = type, .path = "/run/x/" + std::string(type), .id = {}, .is_the_hosts = true});
  CHECK(planned(spec, named) == "pid:make");
  leave_the_hosts(spec, {named.at(1)});
  CHECK_FALSE(has_namespace(spec, "ipc"));
  CHECK(has_namespace(spec, "pid"));
  leave_the_hosts(spec, named);
  CHECK(spec.linux_.namespaces.empty());
}
