// SPDX-License-Identifier: Apache-2.0
// The keeper of a VM of the pool, until a container gets the VM and afterwards.
#include <catch2/catch_test_macros.hpp>
#include <chrono>
#include <fstream>

#include "keeper/keep.hpp"
#include "lib/base/detach.hpp"
#include "lib/base/error.hpp"
#include "lib/handoff/vm_keeper.hpp"
#include "test/keeper/kept_vm.hpp"
#include "test/lib/base/scratch.hpp"

using namespace husk;
using namespace husk::handoff;
using namespace husk::test;
using namespace std::chrono_literals;
namespace fs = std::filesystem;

namespace {

/// A VM and its helper in the hands of a keeper that waits for a claim.
struct Spare {
  Spare() {
    const fs::path said = refilled;
    KeeperSetup setup = plain;
    setup.launch = [said](int from_husk) {
      fork_orphan([&] {
        keeper::run(from_husk, [&](const KeeperBegin&) {
          return keeper::Duties{
              .on_claimed = [said] { std::ofstream(said, std::ios::app).put('y'); },
              .patience = {.power_off = 500ms, .helper = 200ms}};
        });
      });
    };
    VmKeeper keeper(std::move(setup));
    const UniqueFd claims = listen_for_claim(socket);
    keeper.hand_over({.vm = vm.identity(), .helpers = {helper.identity()}, .claims = claims.get()});
  }
  Scratch scratch;
  fs::path socket = scratch.path() / "claims", refilled = scratch.path() / "refilled";
  FakeProcess vm, helper;
};

}  // namespace

TEST_CASE("keeper of a spare VM: keeps the VM without a shim, and then for the claimer's",
          "[keeper]") {
  if (::geteuid() != 0) SKIP("needs root");
  Spare spare;
  CHECK_FALSE(spare.vm.ends_within(1s));
  CHECK_FALSE(fs::exists(spare.refilled));
  FakeProcess shim;
  {
    VmKeeper keeper = VmKeeper::of_spare(spare.socket, 5s);
    keeper.hand_over({.vm = spare.vm.identity(),
                      .helpers = {spare.helper.identity()},
                      .shims = {shim.identity()}});
  }
  CHECK_FALSE(spare.vm.ends_within(1s));
  CHECK(comes_true([&] { return slurp(spare.refilled) == "y"; }));
  CHECK_THROWS_AS(VmKeeper::of_spare(spare.socket, 5s), Error);  // nobody listens any more
  shim.end();
  CHECK(spare.vm.ends_within(8s));
  CHECK(spare.helper.ends_within(8s));
  CHECK(slurp(spare.refilled) == "y");
}

TEST_CASE("keeper of a spare VM: ends the VM with a claimer that is killed", "[keeper]") {
  if (::geteuid() != 0) SKIP("needs root");
  Spare spare;
  {
    FakeProcess claimer;
    const pid_t child = ::fork();
    if (child == 0) {
      const VmKeeper keeper = VmKeeper::of_spare(spare.socket, 5s);
      ::kill(::getpid(), SIGKILL);
    }
    ::waitpid(child, nullptr, 0);
  }
  CHECK(spare.vm.ends_within(8s));
  CHECK(spare.helper.ends_within(8s));
  CHECK_FALSE(fs::exists(spare.refilled));
}

TEST_CASE("keeper of a VM that booted for want of one in the pool: has the pool filled",
          "[keeper]") {
  if (::geteuid() != 0) SKIP("needs root");
  for (const bool fills : {false, true}) {
    CAPTURE(fills);
    const Scratch scratch;
    const fs::path said = scratch.path() / "filled";
    KeeperSetup setup = plain;
    setup.fills_pool = fills;
    setup.launch = [said](int from_husk) {
      fork_orphan([&] {
        keeper::run(from_husk, [&](const KeeperBegin&) {
          return keeper::Duties{.on_claimed = [said] { std::ofstream(said).put('y'); },
                                .patience = {.power_off = 500ms, .helper = 200ms}};
        });
      });
    };
    VmKeeper keeper(std::move(setup));
    FakeProcess vm, shim;
    keeper.hand_over({.vm = vm.identity(), .shims = {shim.identity()}});
    if (fills) {
      CHECK(comes_true([&] { return slurp(said) == "y"; }));
    } else {
      CHECK_FALSE(vm.ends_within(500ms));
      CHECK_FALSE(fs::exists(said));
    }
    shim.end();
    CHECK(vm.ends_within(8s));
  }
}

TEST_CASE("keeper of a spare VM: ends the VM with its helper", "[keeper]") {
  if (::geteuid() != 0) SKIP("needs root");
  Spare spare;
  spare.helper.end();
  CHECK(spare.vm.ends_within(8s));
}
