// SPDX-License-Identifier: Apache-2.0
// Hooks that run on the host (config.md "POSIX-platform Hooks"), and how long those in the guest may.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "lib/base/process.hpp"
#include "lib/oci/spec.hpp"
#include "lib/oci/state.hpp"

namespace husk::runtime {

/// Runs them in order with the state on their stdin. Throws what the first failing one did:
/// "prestart hook #0 /usr/bin/x: exit status 3: <its output>".
void run_hooks(const std::vector<oci::Hook>& hooks, const std::string& kind,
               const oci::State& state);

/// The same in the network, IPC and UTS namespaces of that process, and in a mount namespace of their
/// own where the host's paths are (createContainer). Throws peer_lost if the process has ended.
void run_hooks_in(const ProcessIdentity& process, const std::vector<oci::Hook>& hooks,
                  const std::string& kind, const oci::State& state);

/// The same, but a failure is only logged and the others still run (poststart, poststop).
void run_hooks_tolerantly(const std::vector<oci::Hook>& hooks, const std::string& kind,
                          const oci::State& state);

/// For what nobody could end: those in the guest, which is not trusted to, and those that run while
/// a failed create is undone. Each has a time limit, the one that it had or 60 s.
std::vector<oci::Hook> limit_hooks(std::vector<oci::Hook> hooks);
/// For those in the guest, which run with the container's environment where they have none of their own (runc).
void give_environment(std::vector<oci::Hook>& hooks, const std::vector<std::string>& environment);
/// How long all of these hooks may take. A day at most.
std::chrono::seconds longest_run(const std::vector<oci::Hook>& guest_hooks);

/// A create that fails once its hooks have begun goes on with the poststop hooks, as one that was
/// deleted (runtime.md "Lifecycle"; runc): what the first made may be what the last take away. No signal
/// ends them then, so that limit_hooks() does.
class PoststopOnFailure {
 public:
  /// state: as they are to be told it.
  PoststopOnFailure(std::vector<oci::Hook> poststop, oci::State state);
  PoststopOnFailure(const PoststopOnFailure&) = delete;
  PoststopOnFailure& operator=(const PoststopOnFailure&) = delete;
  ~PoststopOnFailure();  ///< runs them, between begin() and keep()

  void begin() noexcept { armed_ = true; }
  void keep() noexcept { armed_ = false; }

 private:
  std::vector<oci::Hook> poststop_;
  oci::State state_;
  bool armed_ = false;
};

}  // namespace husk::runtime
