// SPDX-License-Identifier: Apache-2.0
// config.json's common part: root, mounts, process, hooks. The rest: spec_read_linux.cpp.
#include "lib/oci/spec_read.hpp"

#include <algorithm>
#include <filesystem>

#include "lib/oci/json_read.hpp"
#include "lib/oci/spec.hpp"

namespace husk::oci {

void read_value(const nlohmann::json& json, const std::string& path, Root& root) {
  const JsonObject object(json, path);
  read_required(object, "path", root.path);
  read_optional(object, "readonly", root.readonly);
}

void read_value(const nlohmann::json& json, const std::string& path, IdMapping& mapping) {
  const JsonObject object(json, path);
  read_required(object, "containerID", mapping.container_id);
  read_required(object, "hostID", mapping.host_id);
  read_required(object, "size", mapping.size);
}

/// Without ".", ".." and repeated slashes, and without a slash at its end (runc: CleanPath). A path
/// with a slash at its end is looked up through a symbolic link where the same path without is not.
std::string clean_path(const std::string& path) {
  std::string made = std::filesystem::path(path).lexically_normal().string();
  while (made.size() > 1 && made.back() == '/') made.pop_back();
  return made;
}

void read_value(const nlohmann::json& json, const std::string& path, Mount& mount) {
  const JsonObject object(json, path);
  read_required(object, "destination", mount.destination);
  mount.destination = clean_path(mount.destination);
  read_optional(object, "type", mount.type);
  read_optional(object, "source", mount.source);
  read_optional(object, "options", mount.options);
  read_optional(object, "uidMappings", mount.uid_mappings);
  read_optional(object, "gidMappings", mount.gid_mappings);
}

void read_value(const nlohmann::json& json, const std::string& path, ConsoleSize& size) {
  const JsonObject object(json, path);
  read_required(object, "height", size.height);
  read_required(object, "width", size.width);
}

void read_value(const nlohmann::json& json, const std::string& path, User& user) {
  const JsonObject object(json, path);
  read_optional(object, "uid", user.uid);
  read_optional(object, "gid", user.gid);
  read_optional(object, "umask", user.umask);
  read_optional(object, "additionalGids", user.additional_gids);
}

void read_value(const nlohmann::json& json, const std::string& path, Capabilities& sets) {
  const JsonObject object(json, path);
  read_optional(object, "bounding", sets.bounding);
  read_optional(object, "effective", sets.effective);
  read_optional(object, "permitted", sets.permitted);
  read_optional(object, "inheritable", sets.inheritable);
  read_optional(object, "ambient", sets.ambient);
}

void read_value(const nlohmann::json& json, const std::string& path, Rlimit& rlimit) {
  const JsonObject object(json, path);
  read_required(object, "type", rlimit.type);
  read_required(object, "soft", rlimit.soft);
  read_required(object, "hard", rlimit.hard);
}

void read_value(const nlohmann::json& json, const std::string& path, IoPriority& io_priority) {
  const JsonObject object(json, path);
  read_required(object, "class", io_priority.io_class);
  read_optional(object, "priority", io_priority.priority);
}

void read_value(const nlohmann::json& json, const std::string& path, Scheduler& scheduler) {
  const JsonObject object(json, path);
  read_required(object, "policy", scheduler.policy);
  read_optional(object, "nice", scheduler.nice);
  read_optional(object, "priority", scheduler.priority);
  read_optional(object, "flags", scheduler.flags);
  read_optional(object, "runtime", scheduler.runtime);
  read_optional(object, "deadline", scheduler.deadline);
  read_optional(object, "period", scheduler.period);
}

void read_value(const nlohmann::json& json, const std::string& path, CpuAffinity& affinity) {
  const JsonObject object(json, path);
  read_optional(object, "initial", affinity.initial);
  read_optional(object, "final", affinity.final_cpus);
}

void read_value(const nlohmann::json& json, const std::string& path, Process& process) {
  const JsonObject object(json, path);
  read_optional(object, "terminal", process.terminal);
  read_optional(object, "consoleSize", process.console_size);
  read_optional(object, "user", process.user);
  read_optional(object, "args", process.args);
  read_optional(object, "env", process.env);
  read_required(object, "cwd", process.cwd);
  read_optional(object, "capabilities", process.capabilities);
  read_optional(object, "rlimits", process.rlimits);
  read_optional(object, "noNewPrivileges", process.no_new_privileges);
  read_optional(object, "apparmorProfile", process.apparmor_profile);
  read_optional(object, "selinuxLabel", process.selinux_label);
  read_optional(object, "oomScoreAdj", process.oom_score_adj);
  read_optional(object, "ioPriority", process.io_priority);
  read_optional(object, "scheduler", process.scheduler);
  read_optional(object, "execCPUAffinity", process.exec_cpu_affinity);
}

void read_value(const nlohmann::json& json, const std::string& path, Hook& hook) {
  const JsonObject object(json, path);
  read_required(object, "path", hook.path);
  read_optional(object, "args", hook.args);
  read_optional(object, "env", hook.env);
  read_optional(object, "timeout", hook.timeout);
}

void read_value(const nlohmann::json& json, const std::string& path, Hooks& hooks) {
  const JsonObject object(json, path);
  read_optional(object, "prestart", hooks.prestart);
  read_optional(object, "createRuntime", hooks.create_runtime);
  read_optional(object, "createContainer", hooks.create_container);
  read_optional(object, "startContainer", hooks.start_container);
  read_optional(object, "poststart", hooks.poststart);
  read_optional(object, "poststop", hooks.poststop);
}

// Each target is built anew, so that nothing of an earlier value shines through.
void from_json(const nlohmann::json& json, Spec& spec) {
  const JsonObject object(json, "");
  Spec read;
  read_required(object, "ociVersion", read.oci_version);
  read_optional(object, "root", read.root);
  read_optional(object, "mounts", read.mounts);
  read_optional(object, "process", read.process);
  read_optional(object, "hostname", read.hostname);
  read_optional(object, "domainname", read.domainname);
  read_optional(object, "hooks", read.hooks);
  read_optional(object, "annotations", read.annotations);
  read_optional(object, "linux", read.linux_);
  spec = std::move(read);
}

void from_json(const nlohmann::json& json, Process& process) {
  Process read;
  read_value(json, "process", read);
  process = std::move(read);
}

void from_json(const nlohmann::json& json, Resources& resources) {
  Resources read;
  read_value(json, "resources", read);
  resources = std::move(read);
}

void from_json(const nlohmann::json& json, Hooks& hooks) {
  Hooks read;
  read_value(json, "hooks", read);
  hooks = std::move(read);
}

bool has_namespace(const Spec& spec, std::string_view type) {
  return std::ranges::find(spec.linux_.namespaces, type, &Namespace::type) !=
         spec.linux_.namespaces.end();
}

bool is_bind(const Mount& mount) {
  return mount.type == "bind" ||
         std::any_of(mount.options.begin(), mount.options.end(), [](const std::string& option) {
           return option == "bind" || option == "rbind";
         });
}

bool is_made_on_host(const Mount& mount) { return is_bind(mount) || mount.type == "overlay"; }

}  // namespace husk::oci
