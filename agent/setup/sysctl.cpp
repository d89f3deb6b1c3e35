// SPDX-License-Identifier: Apache-2.0
#include "agent/setup/sysctl.hpp"

#include <fcntl.h>

#include <algorithm>
#include <set>
#include <string_view>

#include "agent/setup/namespaces.hpp"
#include "lib/base/error.hpp"
#include "lib/base/files.hpp"

namespace husk::agent {
namespace {

bool is_ipc_parameter(const std::string& key) {
  static const std::set<std::string_view> ipc{
      "kernel.msgmax", "kernel.msgmnb", "kernel.msgmni", "kernel.sem",
      "kernel.shmall", "kernel.shmmax", "kernel.shmmni", "kernel.shm_rmid_forced"};
  return ipc.contains(key) || key.starts_with("fs.mqueue.");
}

}  // namespace

void check_sysctl(const std::string& key, const oci::Spec& spec) {
  if (key.starts_with("net.")) return;
  if (is_ipc_parameter(key) && has_namespace(spec, "ipc")) return;
  if (key == "kernel.domainname" && has_namespace(spec, "uts")) return;
  if (key == "kernel.hostname") {
    throw Error(Errc::invalid_argument,
                "sysctl \"kernel.hostname\" is not allowed as it conflicts with the OCI "
                "\"hostname\" field");
  }
  throw Error(Errc::invalid_argument,
              "sysctl \"" + key.substr(0, 128) + "\" is not in a separate kernel namespace");
}

void apply_sysctls(const oci::Spec& spec) {
  if (spec.linux_.sysctl.empty()) return;
  const UniqueFd parameters{
      check_sys(::open("/proc/sys", O_PATH | O_DIRECTORY | O_CLOEXEC), "open /proc/sys")};
  for (const auto& [key, value] : spec.linux_.sysctl) {
    check_sysctl(key, spec);
    std::string path = key;
    std::replace(path.begin(), path.end(), '.', '/');
    step("sysctl " + key, [&] {
      const UniqueFd file = open_in_root(parameters.get(), path, O_WRONLY);
      write_all(file.get(), value);
    });
  }
}

}  // namespace husk::agent
