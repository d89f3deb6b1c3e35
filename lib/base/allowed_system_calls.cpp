// SPDX-License-Identifier: Apache-2.0
#include "lib/base/allowed_system_calls.hpp"

#include <cstdint>
#include <string>

#include "lib/base/error.hpp"

namespace husk {
namespace {

void check_seccomp(int result, const char* doing) {
  if (result < 0) throw_errno(std::string("seccomp: ") + doing, -result);
}

}  // namespace

void AllowedSystemCalls::Release::operator()(void* filter) const noexcept {
  ::seccomp_release(filter);
}

AllowedSystemCalls::AllowedSystemCalls(int refusal)
    : filter_(::seccomp_init(SCMP_ACT_ERRNO(static_cast<std::uint32_t>(refusal)))) {
  if (!filter_) throw Error(Errc::system, "seccomp: no memory for a filter");
}

void AllowedSystemCalls::allow(std::span<const int> calls) {
  for (const int call : calls) allow(call);
}

void AllowedSystemCalls::allow(int call, std::initializer_list<scmp_arg_cmp> conditions) {
  check_seccomp(
      ::seccomp_rule_add_array(filter_.get(), SCMP_ACT_ALLOW, call,
                               static_cast<unsigned>(conditions.size()), conditions.begin()),
      "add a rule");
}

void AllowedSystemCalls::load_for_this_thread() const {
  check_seccomp(::seccomp_load(filter_.get()), "load the filter");
}

void AllowedSystemCalls::load_for_all_threads() {
  check_seccomp(::seccomp_attr_set(filter_.get(), SCMP_FLTATR_CTL_TSYNC, 1), "for all threads");
  load_for_this_thread();
}

}  // namespace husk
