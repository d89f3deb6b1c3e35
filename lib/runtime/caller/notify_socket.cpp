// SPDX-License-Identifier: Apache-2.0
#include "lib/runtime/caller/notify_socket.hpp"

#include <fcntl.h>
#include <sys/socket.h>

#include <string_view>

#include "lib/base/error.hpp"
#include "lib/base/files.hpp"
#include "lib/base/log.hpp"
#include "lib/base/unix_address.hpp"

namespace husk::runtime {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view variable = "NOTIFY_SOCKET=";

/// The last one counts, as for the process itself (agent/setup/user.hpp).
std::string notify_path(const oci::Process& process) {
  std::string path;
  for (const std::string& entry : process.env)
    if (entry.starts_with(variable)) path = entry.substr(variable.size());
  return path;
}

/// The path below `folder`, by the text alone; empty: not below it.
std::optional<std::string> below(const fs::path& path, const fs::path& folder) {
  const fs::path relative = path.lexically_relative(folder);
  if (relative.empty() || *relative.begin() == "..") return std::nullopt;
  return relative == "." ? std::string() : relative.string();
}

UniqueFd connect_to(int socket_file) {
  UniqueFd socket{check_sys(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0), "socket")};
  const sockaddr_un name = unix_address(fd_path(socket_file));
  check_sys(::connect(socket.get(), reinterpret_cast<const sockaddr*>(&name), sizeof name),
            "connect");
  return socket;
}

}  // namespace

std::optional<NotifyPlan> plan_notify(const oci::Bundle& bundle) {
  if (!bundle.spec.process) return std::nullopt;
  const fs::path path = fs::path(notify_path(*bundle.spec.process)).lexically_normal();
  if (!path.is_absolute()) return std::nullopt;  // also abstract ones, which begin with '@'
  std::optional<NotifyPlan> plan;
  for (const oci::Mount& mount : bundle.spec.mounts) {
    const auto rest = below(path, fs::path(mount.destination).lexically_normal());
    if (!rest) continue;
    plan.reset();  // what is mounted later hides it
    if (is_bind(mount) && mount.source)
      plan = {path.string(), (bundle.directory / *mount.source).lexically_normal(), *rest};
  }
  return plan;
}

UniqueFd connect_notify(const NotifyPlan& plan) {
  try {
    return step("NOTIFY_SOCKET " + plan.in_container, [&] {
      UniqueFd file{check_sys(::open(plan.source.c_str(), O_PATH | O_CLOEXEC),
                              "open " + plan.source.string())};
      if (!plan.below.empty())
        file = open_in_root(file.get(), plan.below, O_PATH | O_NOFOLLOW | O_CLOEXEC);
      return connect_to(file.get());
    });
  } catch (const Error& error) {
    log(LogLevel::info, error.what());
    return {};
  }
}

}  // namespace husk::runtime
