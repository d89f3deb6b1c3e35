// SPDX-License-Identifier: Apache-2.0
#include "lib/runtime/hooks.hpp"

#include <chrono>
#include <nlohmann/json.hpp>

#include "lib/base/error.hpp"
#include "lib/base/log.hpp"
#include "lib/base/subprocess.hpp"

namespace husk::runtime {
namespace {

constexpr std::size_t max_shown_output = 512;

void run_hook(const oci::Hook& hook, const std::string& state_text, int namespaces_of) {
  Subprocess program;
  program.program = hook.path;
  if (!hook.args.empty()) {
    program.argv0 = hook.args.front();
    program.arguments.assign(hook.args.begin() + 1, hook.args.end());
  }
  program.environment =
      hook.env;  // exactly that: the caller's environment is none of a hook's business
  program.stdin_text = state_text;
  program.namespaces_of = namespaces_of;
  if (hook.timeout) program.timeout = std::chrono::seconds(*hook.timeout);
  const SubprocessResult result = run_subprocess(program);
  if (result.status == 0) return;
  std::string output = result.output;
  if (output.size() > max_shown_output) output.erase(0, output.size() - max_shown_output);
  throw Error(Errc::system, "exit status " + std::to_string(result.status) +
                                (output.empty() ? "" : ": " + output));
}

void run_all(const std::vector<oci::Hook>& hooks, const std::string& kind, const oci::State& state,
             int namespaces_of) {
  const std::string text = oci::to_ordered_json(state).dump();
  for (std::size_t n = 0; n < hooks.size(); ++n) {
    step(kind + " hook #" + std::to_string(n) + " " + hooks[n].path,
         [&] { run_hook(hooks[n], text, namespaces_of); });
  }
}

}  // namespace

void run_hooks(const std::vector<oci::Hook>& hooks, const std::string& kind,
               const oci::State& state) {
  if (!hooks.empty()) run_all(hooks, kind, state, -1);
}

void run_hooks_in(const ProcessIdentity& process, const std::vector<oci::Hook>& hooks,
                  const std::string& kind, const oci::State& state) {
  if (hooks.empty()) return;
  const UniqueFd pidfd = open_process(process);
  if (!pidfd) throw Error(Errc::peer_lost, kind + " hooks: the container's process has ended");
  run_all(hooks, kind, state, pidfd.get());
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

PoststopOnFailure::PoststopOnFailure(std::vector<oci::Hook> poststop, oci::State state)
    : poststop_(std::move(poststop)), state_(std::move(state)) {}

PoststopOnFailure::~PoststopOnFailure() {
  if (armed_) run_hooks_tolerantly(poststop_, "poststop", state_);
}

}  // namespace husk::runtime
