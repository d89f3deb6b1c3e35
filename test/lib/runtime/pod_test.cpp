// SPDX-License-Identifier: Apache-2.0
#include "lib/runtime/plan/pod.hpp"

#include <catch2/catch_test_macros.hpp>

#include "lib/base/error.hpp"

using namespace husk;
using namespace husk::runtime;

namespace {

using Annotations = std::map<std::string, std::string>;

constexpr const char* containerd_type = "io.kubernetes.cri.container-type";
constexpr const char* containerd_sandbox = "io.kubernetes.cri.sandbox-id";
constexpr const char* crio_type = "io.kubernetes.cri-o.ContainerType";
constexpr const char* crio_sandbox = "io.kubernetes.cri-o.SandboxID";
constexpr const char* manager = "io.container.manager";

/// "crio member of S", "no pod", or the error.
std::string found(const std::string& id, const Annotations& annotations) try {
  const auto pod = find_pod(id, annotations);
  if (!pod) return "no pod";
  return std::string(pod->caller == PodFacts::Caller::crio ? "crio " : "containerd ") +
         (pod->is_sandbox ? "sandbox " : "member of ") + pod->sandbox;
} catch (const Error& e) {
  return e.what();
}

PodFacts member(PodFacts::Caller caller = PodFacts::Caller::crio) {
  return {.caller = caller, .sandbox = "S", .is_sandbox = false};
}
PodFacts sandbox() {
  return {.caller = PodFacts::Caller::containerd, .sandbox = "S", .is_sandbox = true};
}
constexpr NamespaceId pod_network{.device = 4, .inode = 17};

/// "new VM of S", "new VM of S by its network", "no pod's", or the error.
std::string planned(const std::optional<PodFacts>& pod, const PodPlace& place) try {
  const auto vm = plan_pod(pod, place);
  if (!vm) return "no pod's";
  CHECK(vm->root == place.root);
  if (!vm->network) return "new VM of " + vm->sandbox;
  CHECK(vm->network == place.network);
  return "new VM of " + vm->sandbox + " by its network";
} catch (const Error& e) {
  return e.what();
}

PodPlace in_vm(const std::optional<VmPod>& pod, std::vector<std::string> members = {"x"}) {
  return {.root = "/r", .vm = "00001234", .vm_pod = pod, .vm_members = std::move(members)};
}

}  // namespace

TEST_CASE("find_pod: who is in which pod", "[runtime]") {
  struct Row {
    Annotations annotations;
    std::string answer;
  };
  const std::vector<Row> rows{
      {{}, "no pod"},
      {{{"org.example", "x"}}, "no pod"},
      {{{containerd_type, "sandbox"}, {containerd_sandbox, "c1"}}, "containerd sandbox c1"},
      {{{containerd_type, "container"}, {containerd_sandbox, "S"}}, "containerd member of S"},
      {{{crio_type, "sandbox"}, {crio_sandbox, "c1"}, {manager, "cri-o"}}, "crio sandbox c1"},
      {{{crio_type, "container"}, {crio_sandbox, "S"}, {manager, "cri-o"}}, "crio member of S"},
      // Podman 4.3 in a pod, later ones.
      {{{crio_type, "container"}, {crio_sandbox, "S"}, {manager, "libpod"}}, "no pod"},
      {{{crio_sandbox, "S"}, {manager, "libpod"}}, "no pod"},
      // Both agree, as where CRI-O passes on what the cluster's user wrote.
      {{{crio_type, "container"},
        {crio_sandbox, "S"},
        {containerd_type, "container"},
        {containerd_sandbox, "S"}},
       "crio member of S"},
  };
  for (const Row& row : rows) {
    CAPTURE(row.annotations);
    CHECK(found("c1", row.annotations) == row.answer);
  }
}

TEST_CASE("find_pod: contradictions are refused with the annotation's name", "[runtime]") {
  struct Row {
    Annotations annotations;
    std::string error;
  };
  const std::string sandbox_key = std::string("annotations[\"") + containerd_sandbox + "\"]: ";
  const std::vector<Row> rows{
      {{{containerd_type, "container"}}, sandbox_key + "missing or empty"},
      {{{containerd_type, "container"}, {containerd_sandbox, ""}},
       sandbox_key + "missing or empty"},
      // It names a folder of the root.
      {{{containerd_type, "container"}, {containerd_sandbox, "../../etc"}},
       sandbox_key + "invalid container ID format: \"../../etc\""},
      {{{containerd_sandbox, "S"}},
       std::string("annotations[\"") + containerd_type + "\"]: missing beside " +
           containerd_sandbox},
      {{{containerd_type, "pod"}, {containerd_sandbox, "S"}},
       std::string("annotations[\"") + containerd_type +
           "\"]: is \"pod\", neither \"sandbox\" nor \"container\""},
      {{{containerd_type, "sandbox"}, {containerd_sandbox, "S"}},
       sandbox_key + "is \"S\", but the sandbox is container c1"},
      {{{containerd_type, "container"}, {containerd_sandbox, "c1"}},
       sandbox_key + "is the id of the container, which is not the sandbox"},
      {{{crio_type, "container"},
        {crio_sandbox, "S"},
        {containerd_type, "container"},
        {containerd_sandbox, "T"}},
       sandbox_key + "contradicts " + crio_type + " and " + crio_sandbox},
      {{{crio_type, "container"},
        {crio_sandbox, "c1x"},
        {containerd_type, "sandbox"},
        {containerd_sandbox, "c1"}},
       sandbox_key + "contradicts " + crio_type + " and " + crio_sandbox},
  };
  for (const Row& row : rows) {
    CAPTURE(row.annotations);
    CHECK(found("c1", row.annotations) == row.error);
  }
}

TEST_CASE("plan_pod: a pod's VM is made by its sandbox, or for its network namespace",
          "[runtime]") {
  CHECK(planned(std::nullopt, {.root = "/r"}) == "no pod's");
  CHECK(planned(sandbox(), {.root = "/r"}) == "new VM of S");
  CHECK(planned(member(), {.root = "/r", .network = pod_network}) == "new VM of S by its network");
  CHECK(planned(member(), {.root = "/r"}) ==
        "linux.namespaces: the path of the network namespace of pod \"S\" is missing");
  const std::string gone = "pod \"S\": the VM of its sandbox is gone";
  CHECK(planned(member(), {.root = "/r", .network = pod_network, .has_sandbox = true}) == gone);
  CHECK(planned(member(PodFacts::Caller::containerd), {.root = "/r", .network = pod_network}) ==
        gone);
}

TEST_CASE("plan_pod: a pod that has a VM gets no second one", "[runtime]") {
  const std::string text =
      "pod \"S\" is in VM 00001234, where the container's network namespace is not";
  CHECK(planned(member(), {.root = "/r", .network = pod_network, .pod_vm = "00001234"}) ==
        std::string("annotations[\"") + crio_sandbox + "\"]: " + text);
  CHECK(planned(sandbox(), {.root = "/r", .pod_vm = "00001234"}) ==
        std::string("annotations[\"") + containerd_sandbox + "\"]: " + text);
}

TEST_CASE("plan_pod: a member joins the VM of its own pod alone", "[runtime]") {
  const VmPod own{.root = "/r", .sandbox = "S"}, of_network{"/r", "S", pod_network};
  for (const auto caller : {PodFacts::Caller::crio, PodFacts::Caller::containerd}) {
    CHECK(planned(member(caller), in_vm(own)) == "no pod's");
    CHECK(planned(member(caller), in_vm(of_network)) == "no pod's");
    // An older husk's VM.
    CHECK(planned(member(caller), in_vm(std::nullopt, {"x", "S"})) == "no pod's");
  }
  const std::string refused =
      std::string("annotations[\"") + crio_sandbox +
      "\"]: the container is of pod \"S\", but its network namespace is in VM 00001234, which is "
      "not that pod's";
  CHECK(planned(member(), in_vm(VmPod{.root = "/r", .sandbox = "T"}, {"T", "S"})) == refused);
  CHECK(planned(member(), in_vm(VmPod{.root = "/other", .sandbox = "S"})) == refused);
  CHECK(planned(member(), in_vm(std::nullopt)) == refused);
  CHECK(planned(sandbox(), in_vm(own)) ==
        std::string("annotations[\"") + containerd_sandbox +
            "\"]: the container is the sandbox of pod \"S\", but its network namespace is in VM "
            "00001234 already");
  CHECK(planned(std::nullopt, in_vm(own)) == "no pod's");  // by its paths alone
}
