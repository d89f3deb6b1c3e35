// SPDX-License-Identifier: Apache-2.0
#include "lib/oci/check.hpp"

#include <catch2/catch_test_macros.hpp>

#include "lib/oci/example.hpp"
#include "test/lib/oci/fixtures.hpp"

namespace husk::oci::test {
namespace {

// The example with one thing changed.
std::string refusal_after(const std::function<void(Spec&)>& change,
                          Errc code = Errc::invalid_argument) {
  Spec spec = example_spec(false, 0, 0);
  change(spec);
  const Failure failure = failure_of([&] { check_spec(spec); });
  CHECK(failure.code == code);
  return failure.text;
}

void accept_after(const std::function<void(Spec&)>& change) {
  Spec spec = example_spec(false, 0, 0);
  change(spec);
  CHECK_NOTHROW(check_spec(spec));
}

}  // namespace

TEST_CASE("check: the example passes", "[oci]") {
  accept_after([](Spec&) {});
}

TEST_CASE("check: ociVersion is a version with major 1", "[oci]") {
  for (const char* version : {"1.0.0", "1.0.2-dev", "1.2.0", "1.99.0", "1.0.0-rc.5+build.7"}) {
    INFO(version);
    accept_after([&](Spec& spec) { spec.oci_version = version; });
  }
  CHECK(refusal_after([](Spec& spec) { spec.oci_version = "2.0.0"; }) ==
        "ociVersion: unknown version \"2.0.0\", expected 1.x");
  CHECK(refusal_after([](Spec& spec) { spec.oci_version = "0.9.0"; }) ==
        "ociVersion: unknown version \"0.9.0\", expected 1.x");
  for (const char* version : {"", "1", "1.0", "1.0.", "1..0", "01.0.0", "1.0.0-", "1.0.0.0",
                              "v1.0.0", "1.0.x", "-1.0.0", " 1.0.0", "99999999999.0.0"}) {
    INFO(version);
    CHECK(refusal_after([&](Spec& spec) {
            spec.oci_version = version;
          }).ends_with("is not a version like 1.2.0"));
  }
}

TEST_CASE("check: root and process are needed", "[oci]") {
  CHECK(refusal_after([](Spec& spec) { spec.root.reset(); }) == "root: required but missing");
  CHECK(refusal_after([](Spec& spec) { spec.root->path.clear(); }) ==
        "root.path: must not be empty");
  CHECK(refusal_after([](Spec& spec) { spec.process.reset(); }) == "process: required but missing");
  CHECK(refusal_after([](Spec& spec) { spec.process->args.clear(); }) ==
        "process.args: must not be empty");
  CHECK(refusal_after([](Spec& spec) { spec.process->cwd = "work"; }) ==
        "process.cwd: \"work\" is not an absolute path");
  CHECK(refusal_after([](Spec& spec) { spec.process->cwd = ""; }) ==
        "process.cwd: \"\" is not an absolute path");
}

TEST_CASE("check: environment entries are NAME=value, and are not shown", "[oci]") {
  for (const char* entry : {"SECRET", "=SECRET", ""}) {
    const std::string text = refusal_after([&](Spec& spec) { spec.process->env = {"A=b", entry}; });
    CHECK(text == "process.env[1]: is not of the form NAME=value");
  }
  accept_after([](Spec& spec) { spec.process->env = {"A=", "B==", "c d=e"}; });
}

TEST_CASE("check: rlimits are known, once each, soft at most hard", "[oci]") {
  const auto rlimits = [](std::vector<Rlimit> list) {
    return [list](Spec& spec) { spec.process->rlimits = list; };
  };
  accept_after(rlimits({{.type = "RLIMIT_NOFILE", .soft = 5, .hard = 5},
                        {.type = "RLIMIT_CORE", .soft = 0, .hard = 18446744073709551615u}}));
  CHECK(refusal_after(rlimits({{.type = "RLIMIT_FILES", .soft = 1, .hard = 1}})) ==
        "process.rlimits[0].type: unknown value \"RLIMIT_FILES\"");
  CHECK(refusal_after(rlimits({{.type = "RLIMIT_CPU", .soft = 1, .hard = 1},
                               {.type = "RLIMIT_CPU", .soft = 1, .hard = 1}})) ==
        "process.rlimits[1].type: RLIMIT_CPU is given twice");
  CHECK(refusal_after(rlimits({{.type = "RLIMIT_CPU", .soft = 2, .hard = 1}})) ==
        "process.rlimits[0]: RLIMIT_CPU soft limit 2 is above its hard limit 1");
}

TEST_CASE("check: scheduling values have the kernel's bounds", "[oci]") {
  for (const int score : {-1000, 0, 1000})
    accept_after([&](Spec& spec) { spec.process->oom_score_adj = score; });
  for (const int score : {-1001, 1001})
    CHECK(refusal_after([&](Spec& spec) {
            spec.process->oom_score_adj = score;
          }).starts_with("process.oomScoreAdj: "));
  CHECK(refusal_after([](Spec& spec) {
          spec.process->io_priority = IoPriority{.io_class = "IOPRIO_CLASS_BE", .priority = 8};
        }) == "process.ioPriority.priority: 8 is not in 0 to 7");
  CHECK(refusal_after([](Spec& spec) {
          spec.process->io_priority = IoPriority{.io_class = "BE", .priority = 1};
        }) == "process.ioPriority.class: unknown value \"BE\"");
  CHECK(refusal_after([](Spec& spec) { spec.process->scheduler.emplace().policy = "FIFO"; }) ==
        "process.scheduler.policy: unknown value \"FIFO\"");
  const auto scheduler = [](const char* flag) {
    return [flag](Spec& spec) {
      spec.process->scheduler.emplace().policy = "SCHED_OTHER";
      spec.process->scheduler->flags = {flag};
    };
  };
  accept_after(scheduler("SCHED_FLAG_RESET_ON_FORK"));
  CHECK(refusal_after(scheduler("SCHED_FLAG_NONE")) ==
        "process.scheduler.flags: unknown value \"SCHED_FLAG_NONE\"");
  for (const char* flag : {"SCHED_FLAG_UTIL_CLAMP_MIN", "SCHED_FLAG_UTIL_CLAMP_MAX"})
    CHECK(refusal_after(scheduler(flag), Errc::unsupported) ==
          "process.scheduler.flags: \"" + std::string(flag) + "\" is not supported");
  CHECK(refusal_after([](Spec& spec) { spec.process->user.umask = 01000; }) ==
        "process.user.umask: 512 is above 511 (0777)");
}

TEST_CASE("check: mount destinations are absolute, id-mapped mounts are refused", "[oci]") {
  CHECK(refusal_after([](Spec& spec) { spec.mounts.at(1).destination = "dev"; }) ==
        "mounts[1].destination: \"dev\" is not an absolute path");
  CHECK(refusal_after([](Spec& spec) { spec.mounts.at(1).destination = "/"; }) ==
        "mounts[1].destination: mountpoint \"/\" is on the top of rootfs");
  for (const char* option : {"idmap", "ridmap"})
    CHECK(refusal_after(
              [&](Spec& spec) {
                spec.mounts.at(0).options = {"ro", option};
              },
              Errc::unsupported) == "mounts[0]: id-mapped mounts are not supported");
  CHECK(refusal_after(
            [](Spec& spec) {
              spec.mounts.at(2).gid_mappings = {{.container_id = 0, .host_id = 0, .size = 1}};
            },
            Errc::unsupported) == "mounts[2]: id-mapped mounts are not supported");
}

TEST_CASE("check: hooks have absolute paths and timeouts above zero", "[oci]") {
  const Hook good{.path = "/bin/hook", .args = {}, .env = {}, .timeout = 1};
  Hook relative = good, instant = good;
  relative.path = "hook";
  instant.timeout = 0;
  accept_after([&](Spec& spec) { spec.hooks.poststop = {good}; });
  CHECK(refusal_after([&](Spec& spec) {
          spec.hooks.create_container = {good, relative};
        }) == "hooks.createContainer[1].path: \"hook\" is not an absolute path");
  CHECK(refusal_after([&](Spec& spec) { spec.hooks.prestart = {instant}; }) ==
        "hooks.prestart[0].timeout: 0 is not above zero");
  accept_after([&](Spec& spec) { spec.hooks.create_container = {good}; });
  accept_after([&](Spec& spec) { spec.hooks.start_container = {good}; });
}

TEST_CASE("check: annotations have keys", "[oci]") {
  CHECK(refusal_after([](Spec& spec) { spec.annotations[""] = "x"; }) ==
        "annotations: a key is empty");
}

TEST_CASE("check: container ids follow runc's rule", "[oci]") {
  for (const std::string& id : {std::string("a"), std::string("A_b+c-d.e"), std::string("..."),
                                std::string(64, 'f'), std::string(1024, '0')})
    CHECK_NOTHROW(check_container_id(id));
  for (const std::string& id :
       {std::string(""), std::string("."), std::string(".."), std::string("a/b"),
        std::string("../x"), std::string("a b"), std::string("a\n"), std::string("a\0b", 3),
        std::string("\xc3\xa9"), std::string(1025, '0'), std::string(2000, 'x')}) {
    const Failure failure = failure_of([&] { check_container_id(id); });
    CHECK(failure.code == Errc::invalid_argument);
    CHECK(failure.text.starts_with("invalid container ID format: \""));
    CHECK(failure.text.size() < 110);
    CHECK(failure.text.find('\n') == std::string::npos);
  }
}

}  // namespace husk::oci::test
