// SPDX-License-Identifier: Apache-2.0
#include "agent/setup/sysctl.hpp"

#include <fcntl.h>

#include <set>
#include <string_view>

#include "agent/network/sysctls.hpp"
#include "agent/setup/namespaces.hpp"
#include "lib/base/error.hpp"
#include "lib/base/files.hpp"
#include "lib/oci/sysctl_name.hpp"

namespace husk::agent {
namespace {

bool is_ipc_parameter(const std::string& path) {
  static const std::set<std::string_view> ipc{
      "kernel/msgmax", "kernel/msgmnb", "kernel/msgmni", "kernel/sem",
      "kernel/shmall", "kernel/shmmax", "kernel/shmmni", "kernel/shm_rmid_forced"};
  return ipc.contains(path) || path.starts_with("fs/mqueue/");
}

bool is_own(const std::string& path, const oci::Spec& spec) {
  return path.starts_with("net/") || (is_ipc_parameter(path) && has_namespace(spec, "ipc")) ||
         (path == "kernel/domainname" && has_namespace(spec, "uts"));
}

constexpr std::string_view network = "net/";

bool is_late(const std::string& path) {
  if (!path.starts_with(network)) return false;
  const std::string link = link_of_sysctl(path.substr(network.size()));
  return !link.empty() && link != "lo";
}

UniqueFd open_parameters() {
  return UniqueFd{
      check_sys(::open("/proc/sys", O_PATH | O_DIRECTORY | O_CLOEXEC), "open /proc/sys")};
}

void write_sysctl(const UniqueFd& parameters, const std::string& path, const std::string& value) {
  const UniqueFd file = open_in_root(parameters.get(), path, O_WRONLY);
  write_all(file.get(), value);
}

}  // namespace

std::string check_sysctl(const std::string& key, const oci::Spec& spec) {
  const std::optional<std::string> path = oci::parse_sysctl_name(key);
  if (path && is_own(*path, spec)) return *path;
  if (path == "kernel/hostname") {
    throw Error(Errc::invalid_argument,
                "sysctl \"kernel.hostname\" is not allowed as it conflicts with the OCI "
                "\"hostname\" field");
  }
  throw Error(Errc::invalid_argument,
              "sysctl \"" + key.substr(0, 128) + "\" is not in a separate kernel namespace");
}

void apply_sysctls(const oci::Spec& spec) {
  if (spec.linux_.sysctl.empty()) return;
  const UniqueFd parameters = open_parameters();
  for (const auto& [key, value] : spec.linux_.sysctl) {
    const std::string path = check_sysctl(key, spec);
    if (!is_late(path))
      step("sysctl " + key, [&, &text = value] { write_sysctl(parameters, path, text); });
  }
}

std::map<std::string, std::string> late_sysctls(const oci::Spec& spec) {
  std::map<std::string, std::string> late;
  for (const auto& [key, value] : spec.linux_.sysctl) {
    const auto path = oci::parse_sysctl_name(key);
    if (path && is_late(*path)) late.emplace(*path, value);
  }
  return late;
}

void apply_late_sysctls(const std::map<std::string, std::string>& late) {
  if (late.empty()) return;
  const UniqueFd parameters = open_parameters();
  for (const auto& [path, value] : late)
    step("sysctl " + path,
         [&, &file = path, &text = value] { write_sysctl(parameters, file, text); });
}

std::set<std::string> network_sysctls(const oci::Spec& spec) {
  std::set<std::string> names;
  for (const auto& [key, value] : spec.linux_.sysctl) {
    const auto path = oci::parse_sysctl_name(key);
    if (path && path->starts_with(network)) names.insert(path->substr(network.size()));
  }
  return names;
}

}  // namespace husk::agent
