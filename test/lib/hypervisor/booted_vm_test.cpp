// SPDX-License-Identifier: Apache-2.0
#include "lib/hypervisor/booted_vm.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers_exception.hpp>
#include <csignal>
#include <filesystem>

#include "lib/base/error.hpp"
#include "lib/base/files.hpp"
#include "lib/hypervisor/driver.hpp"

using namespace husk;
using namespace husk::hypervisor;
using Catch::Matchers::Message;
namespace fs = std::filesystem;

namespace {

const Driver& qemu_driver = driver_for("qemu:///system");

/// A sleeping child stands for the VM.
class Sleeper final : public Hypervisor {
 public:
  ~Sleeper() override {
    if (child == 0) return;
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
  }
  StartedVm start(const VmConfig& config) override {
    if (failure) throw Error(*failure, "not started");
    child = ::fork();
    if (child == 0) {
      ::pause();
      ::_exit(0);
    }
    return {.name = config.name, .process = identify_process(child).value(), .cid = {}};
  }
  void destroy(const std::string& name) override {
    destroyed += name + ";";
    if (!known.empty()) fs::remove(known);
    if (destroy_fails) throw Error(Errc::timed_out, "libvirt did not answer");
  }
  void attach(const std::string&, const NetworkCard&, const std::function<void()>&) override {}
  void change(const std::string&, const MemoryDevice&) override {}
  void rename(const std::string&, const std::string&, const std::string&) override {}
  std::string version() override { return {}; }
  std::optional<Errc> failure;
  bool destroy_fails = false;
  std::string destroyed;
  fs::path known;  ///< libvirt's file of the domain, for as long as that is known
  pid_t child = 0;
};

VmConfig named(const std::string& name) {
  VmConfig config;
  config.name = name;
  return config;
}

}  // namespace

TEST_CASE("BootedVm: its process and libvirt's domain go with it", "[hypervisor]") {
  Sleeper sleeper;
  sleeper.destroy_fails = GENERATE(false, true);  // a warning, and no more
  { const BootedVm vm(qemu_driver, sleeper, named("husk-test-a")); }
  CHECK(sleeper.destroyed == "husk-test-a;");
  CHECK_FALSE(identify_process(sleeper.child));
}

TEST_CASE("BootedVm: one that is kept runs on", "[hypervisor]") {
  Sleeper sleeper;
  {
    BootedVm vm(qemu_driver, sleeper, named("husk-test-a"));
    vm.keep();
  }
  CHECK(sleeper.destroyed.empty());
  CHECK(identify_process(sleeper.child));
}

TEST_CASE("BootedVm: a start is undone that nobody waited for, or of which something is left",
          "[hypervisor]") {
  Sleeper sleeper;
  SECTION("given up") {
    sleeper.failure = Errc::timed_out;
    sleeper.destroy_fails = GENERATE(false, true);
    CHECK_THROWS_MATCHES(BootedVm(qemu_driver, sleeper, named("husk-test-a")), Error,
                         Message("not started"));
    CHECK(sleeper.destroyed == "husk-test-a;");
  }
  SECTION("refused") {
    sleeper.failure = Errc::system;
    CHECK_THROWS_MATCHES(BootedVm(qemu_driver, sleeper, named("husk-test-a")), Error,
                         Message("not started"));
    CHECK(sleeper.destroyed.empty());
  }
  SECTION("libvirt was killed, and knows the domain when it runs again") {
    sleeper.failure = Errc::system;
    Driver driver = qemu_driver;
    driver.name = "husk-test";  // nobody's
    sleeper.known = driver.domain_file("husk-test-a");
    fs::create_directories(sleeper.known.parent_path());
    write_file_atomic(sleeper.known, "", 0600);
    CHECK_THROWS_MATCHES(BootedVm(driver, sleeper, named("husk-test-a")), Error,
                         Message("not started"));
    CHECK(sleeper.destroyed == "husk-test-a;");
    fs::remove(sleeper.known.parent_path());
  }
}
