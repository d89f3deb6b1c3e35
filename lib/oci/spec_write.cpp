// SPDX-License-Identifier: Apache-2.0
// The mirror of spec_read.cpp.
#include "lib/oci/json_write.hpp"

namespace husk::oci {

void to_json(nlohmann::json& json, const Root& root) {
  json = {{"path", root.path}};
  put(json, "readonly", root.readonly);
}

void to_json(nlohmann::json& json, const IdMapping& mapping) {
  json = {
      {"containerID", mapping.container_id}, {"hostID", mapping.host_id}, {"size", mapping.size}};
}

void to_json(nlohmann::json& json, const Mount& mount) {
  json = {{"destination", mount.destination}};
  put(json, "type", mount.type);
  put(json, "source", mount.source);
  put(json, "options", mount.options);
  put(json, "uidMappings", mount.uid_mappings);
  put(json, "gidMappings", mount.gid_mappings);
}

void to_json(nlohmann::json& json, const ConsoleSize& size) {
  json = {{"height", size.height}, {"width", size.width}};
}

void to_json(nlohmann::json& json, const User& user) {
  json = {{"uid", user.uid}, {"gid", user.gid}};
  put(json, "umask", user.umask);
  put(json, "additionalGids", user.additional_gids);
}

void to_json(nlohmann::json& json, const Capabilities& sets) {
  json = nlohmann::json::object();
  put(json, "bounding", sets.bounding);
  put(json, "effective", sets.effective);
  put(json, "permitted", sets.permitted);
  put(json, "inheritable", sets.inheritable);
  put(json, "ambient", sets.ambient);
}

void to_json(nlohmann::json& json, const Rlimit& rlimit) {
  json = {{"type", rlimit.type}, {"soft", rlimit.soft}, {"hard", rlimit.hard}};
}

void to_json(nlohmann::json& json, const IoPriority& io_priority) {
  json = {{"class", io_priority.io_class}, {"priority", io_priority.priority}};
}

void to_json(nlohmann::json& json, const Scheduler& scheduler) {
  json = {{"policy", scheduler.policy}};
  put(json, "nice", scheduler.nice);
  put(json, "priority", scheduler.priority);
  put(json, "flags", scheduler.flags);
  put(json, "runtime", scheduler.runtime);
  put(json, "deadline", scheduler.deadline);
  put(json, "period", scheduler.period);
}

void to_json(nlohmann::json& json, const CpuAffinity& affinity) {
  json = nlohmann::json::object();
  put(json, "initial", affinity.initial);
  put(json, "final", affinity.final_cpus);
}

void to_json(nlohmann::json& json, const Process& process) {
  json = {{"user", process.user}, {"cwd", process.cwd}};
  put(json, "terminal", process.terminal);
  put(json, "consoleSize", process.console_size);
  put(json, "args", process.args);
  put(json, "env", process.env);
  put(json, "capabilities", process.capabilities);
  put(json, "rlimits", process.rlimits);
  put(json, "noNewPrivileges", process.no_new_privileges);
  put(json, "apparmorProfile", process.apparmor_profile);
  put(json, "selinuxLabel", process.selinux_label);
  put(json, "oomScoreAdj", process.oom_score_adj);
  put(json, "ioPriority", process.io_priority);
  put(json, "scheduler", process.scheduler);
  put(json, "execCPUAffinity", process.exec_cpu_affinity);
}

void to_json(nlohmann::json& json, const Hook& hook) {
  json = {{"path", hook.path}};
  put(json, "args", hook.args);
  put(json, "env", hook.env);
  put(json, "timeout", hook.timeout);
}

void to_json(nlohmann::json& json, const Hooks& hooks) {
  json = nlohmann::json::object();
  put(json, "prestart", hooks.prestart);
  put(json, "createRuntime", hooks.create_runtime);
  put(json, "createContainer", hooks.create_container);
  put(json, "startContainer", hooks.start_container);
  put(json, "poststart", hooks.poststart);
  put(json, "poststop", hooks.poststop);
}

void to_json(nlohmann::json& json, const Spec& spec) {
  json = {{"ociVersion", spec.oci_version}};
  put(json, "root", spec.root);
  put(json, "mounts", spec.mounts);
  put(json, "process", spec.process);
  put(json, "hostname", spec.hostname);
  put(json, "domainname", spec.domainname);
  put(json, "annotations", spec.annotations);
  if (spec.hooks != Hooks{}) json["hooks"] = spec.hooks;
  if (spec.linux_ != Linux{}) json["linux"] = spec.linux_;
}

}  // namespace husk::oci
