// SPDX-License-Identifier: Apache-2.0
#include "lib/runtime/host/hooks.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "lib/base/error.hpp"
#include "lib/base/log.hpp"
#include "lib/oci/run_hooks.hpp"

namespace husk::runtime {
namespace {

constexpr int default_limit_seconds = 60;
constexpr std::chrono::hours longest_wait{24};

std::string text_of(const oci::State& state) { return oci::to_ordered_json(state).dump(); }

}  // namespace

void run_hooks(const std::vector<oci::Hook>& hooks, const std::string& kind,
               const oci::State& state) {
  oci::run_hooks(hooks, kind, text_of(state));
}

void run_hooks_in(const ProcessIdentity& process, const std::vector<oci::Hook>& hooks,
                  const std::string& kind, const oci::State& state) {
  if (hooks.empty()) return;
  const UniqueFd pidfd = open_process(process);
  if (!pidfd) throw Error(Errc::peer_lost, kind + " hooks: the container's process has ended");
  oci::run_hooks(hooks, kind, text_of(state), pidfd.get());
}

void run_hooks_tolerantly(const std::vector<oci::Hook>& hooks, const std::string& kind,
                          const oci::State& state) {
  for (const oci::Hook& hook : hooks) {
    try {
      run_hooks({hook}, kind, state);
    } catch (const std::exception& e) {
      log(LogLevel::warning, e.what());
    }
  }
}

std::vector<oci::Hook> limit_hooks(std::vector<oci::Hook> hooks) {
  for (oci::Hook& hook : hooks) hook.timeout = hook.timeout.value_or(default_limit_seconds);
  return hooks;
}

void give_environment(std::vector<oci::Hook>& hooks, const std::vector<std::string>& environment) {
  for (oci::Hook& hook : hooks) hook.env = hook.env.value_or(environment);
}

std::chrono::seconds longest_run(const std::vector<oci::Hook>& guest_hooks) {
  std::chrono::seconds sum{0};
  for (const oci::Hook& hook : guest_hooks) sum += std::chrono::seconds(hook.timeout.value_or(0));
  return std::min<std::chrono::seconds>(sum, longest_wait);
}

PoststopOnFailure::PoststopOnFailure(std::vector<oci::Hook> poststop, oci::State state)
    : poststop_(limit_hooks(std::move(poststop))), state_(std::move(state)) {}

PoststopOnFailure::~PoststopOnFailure() {
  if (armed_) run_hooks_tolerantly(poststop_, "poststop", state_);
}

}  // namespace husk::runtime
