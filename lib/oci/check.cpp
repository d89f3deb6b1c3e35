// SPDX-License-Identifier: Apache-2.0
#include "lib/oci/check.hpp"

#include <cctype>
#include <charconv>
#include <set>

#include "lib/oci/check_parts.hpp"

namespace husk::oci {
namespace {

bool is_number_without_leading_zero(std::string_view text) {
  if (text.empty() || (text.size() > 1 && text.front() == '0')) return false;
  return text.size() <= 9 && text.find_first_not_of("0123456789") == std::string_view::npos;
}

// semver.org: MAJOR.MINOR.PATCH with an optional -pre-release and +build. The major number, or
// nothing if it is not one.
std::optional<int> semver_major(std::string_view version) {
  const std::string_view core = version.substr(0, version.find_first_of("-+"));
  const auto first = core.find('.');
  const auto second = first == std::string_view::npos ? first : core.find('.', first + 1);
  if (second == std::string_view::npos) return std::nullopt;
  const std::string_view major = core.substr(0, first);
  if (!is_number_without_leading_zero(major) ||
      !is_number_without_leading_zero(core.substr(first + 1, second - first - 1)) ||
      !is_number_without_leading_zero(core.substr(second + 1)))
    return std::nullopt;
  if (core.size() + 1 == version.size()) return std::nullopt;  // "1.0.0-"
  int number = 0;
  std::from_chars(major.data(), major.data() + major.size(), number);
  return number;
}

void check_version(const std::string& version) {
  const auto major = semver_major(version);
  if (!major) refuse("ociVersion", quote(version) + " is not a version like 1.2.0");
  if (*major != 1) refuse("ociVersion", "unknown version " + quote(version) + ", expected 1.x");
}

void check_rlimits(const std::vector<Rlimit>& rlimits) {
  std::set<std::string> seen;
  for (std::size_t i = 0; i < rlimits.size(); ++i) {
    const auto& rlimit = rlimits[i];
    const std::string field = indexed("process.rlimits", i);
    check_known(rlimit.type, rlimit_names, field + ".type");
    if (!seen.insert(rlimit.type).second) refuse(field + ".type", rlimit.type + " is given twice");
    if (rlimit.soft > rlimit.hard)
      refuse(field, rlimit.type + " soft limit " + std::to_string(rlimit.soft) +
                        " is above its hard limit " + std::to_string(rlimit.hard));
  }
}

void check_env(const std::vector<std::string>& env) {
  for (std::size_t i = 0; i < env.size(); ++i) {
    const auto equals = env[i].find('=');
    // The value is not quoted: it may be a secret.
    if (equals == std::string::npos || equals == 0)
      refuse(indexed("process.env", i), "is not of the form NAME=value");
  }
}

// The kernel takes the clamps' values from fields that the specification does not have.
void check_scheduler(const Scheduler& scheduler) {
  check_known(scheduler.policy, scheduler_policies, "process.scheduler.policy");
  for (const auto& flag : scheduler.flags) {
    check_known(flag, scheduler_flags, "process.scheduler.flags");
    if (flag.starts_with("SCHED_FLAG_UTIL_CLAMP_"))
      refuse_unsupported("process.scheduler.flags", quote(flag) + " is");
  }
}

void check_scheduling(const Process& process) {
  if (process.oom_score_adj && (*process.oom_score_adj < -1000 || *process.oom_score_adj > 1000))
    refuse("process.oomScoreAdj",
           std::to_string(*process.oom_score_adj) + " is not in -1000 to 1000");
  if (process.io_priority) {
    check_known(process.io_priority->io_class, io_priority_classes, "process.ioPriority.class");
    if (process.io_priority->priority < 0 || process.io_priority->priority > 7)
      refuse("process.ioPriority.priority",
             std::to_string(process.io_priority->priority) + " is not in 0 to 7");
  }
  if (process.scheduler) check_scheduler(*process.scheduler);
}

void check_mounts(const std::vector<Mount>& mounts) {
  for (std::size_t i = 0; i < mounts.size(); ++i) {
    const auto& mount = mounts[i];
    const std::string field = indexed("mounts", i);
    check_absolute(mount.destination, field + ".destination");
    if (mount.destination == "/")
      refuse(field + ".destination", "mountpoint \"/\" is on the top of rootfs");
    const bool idmap = std::any_of(
        mount.options.begin(), mount.options.end(),
        [](const std::string& option) { return option == "idmap" || option == "ridmap"; });
    if (idmap || !mount.uid_mappings.empty() || !mount.gid_mappings.empty())
      refuse_unsupported(field, "id-mapped mounts are");
  }
}

void check_hook_list(const std::vector<Hook>& hooks, const char* name) {
  for (std::size_t i = 0; i < hooks.size(); ++i) {
    const std::string field = indexed(name, i);
    check_absolute(hooks[i].path, field + ".path");
    if (hooks[i].timeout && *hooks[i].timeout <= 0)
      refuse(field + ".timeout", std::to_string(*hooks[i].timeout) + " is not above zero");
  }
}

void check_hooks(const Hooks& hooks) {
  check_hook_list(hooks.prestart, "hooks.prestart");
  check_hook_list(hooks.create_runtime, "hooks.createRuntime");
  check_hook_list(hooks.create_container, "hooks.createContainer");
  check_hook_list(hooks.start_container, "hooks.startContainer");
  check_hook_list(hooks.poststart, "hooks.poststart");
  check_hook_list(hooks.poststop, "hooks.poststop");
}

}  // namespace

void check_process(const Process& process) {
  if (process.args.empty()) refuse("process.args", "must not be empty");
  check_absolute(process.cwd, "process.cwd");
  check_env(process.env);
  check_rlimits(process.rlimits);
  check_scheduling(process);
  if (process.user.umask && *process.user.umask > 0777)
    refuse("process.user.umask", std::to_string(*process.user.umask) + " is above 511 (0777)");
}

void check_spec(const Spec& spec) {
  check_version(spec.oci_version);
  if (!spec.root) refuse("root", "required but missing");
  if (spec.root->path.empty()) refuse("root.path", "must not be empty");
  if (!spec.process) refuse("process", "required but missing");
  check_process(*spec.process);
  check_mounts(spec.mounts);
  check_hooks(spec.hooks);
  if (spec.annotations.contains("")) refuse("annotations", "a key is empty");
  check_linux(spec);
}

void check_container_id(const std::string& id) {
  constexpr std::size_t max_length = 1024;
  const auto allowed = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '+' || c == '-' || c == '.';
  };
  if (id.empty() || id.size() > max_length || id == "." || id == ".." ||
      !std::all_of(id.begin(), id.end(), allowed))
    throw Error(Errc::invalid_argument, "invalid container ID format: " + quote(id));
}

}  // namespace husk::oci
