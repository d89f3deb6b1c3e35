// SPDX-License-Identifier: Apache-2.0
#include "lib/check/tiny_vm.hpp"

#include <fcntl.h>

#include <catch2/catch_test_macros.hpp>
#include <chrono>

#include "lib/base/unique_fd.hpp"

using namespace std::chrono_literals;
using namespace husk;
using husk::check::run_tiny_vm;
using husk::check::TinyVm;

// What comes out depends on the machine: that something does, in time and with the reason, does not.
TEST_CASE("check: a VM of one instruction works, or says why not, in bounded time") {
  const auto begin = std::chrono::steady_clock::now();
  const TinyVm vm = run_tiny_vm(1s);
  CHECK(std::chrono::steady_clock::now() - begin < 30s);
  CHECK(vm.error.empty() == (vm.result != TinyVm::Result::failed));
  const UniqueFd kvm{::open("/dev/kvm", O_RDWR | O_CLOEXEC)};
  if (!kvm) {
    CHECK(vm.result == TinyVm::Result::failed);
    CHECK(vm.error.starts_with("open /dev/kvm: "));
  }
}
