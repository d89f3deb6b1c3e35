// SPDX-License-Identifier: Apache-2.0
#include "lib/base/namespace_id.hpp"

#include <fcntl.h>
#include <linux/magic.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

#include "lib/base/error.hpp"
#include "lib/base/parse_number.hpp"
#include "lib/base/text.hpp"
#include "lib/base/unique_fd.hpp"

namespace husk {
namespace {

constexpr std::array<std::pair<std::string_view, int>, 4> types{
    {{"pid", CLONE_NEWPID}, {"ipc", CLONE_NEWIPC}, {"uts", CLONE_NEWUTS}, {"net", CLONE_NEWNET}}};

int flag_of(const std::string& type) {
  const auto found = std::ranges::find(types, type, [](const auto& one) { return one.first; });
  if (found == types.end()) throw Error(Errc::internal, "no type of namespace: " + type);
  return found->second;
}

}  // namespace

std::string to_string(const NamespaceId& id) {
  return std::to_string(id.device) + ":" + std::to_string(id.inode);
}

NamespaceId parse_namespace_id(std::string_view text) {
  const std::size_t colon = text.find(':');
  if (colon != std::string_view::npos) {
    const auto device = parse_number<dev_t>(text.substr(0, colon));
    const auto inode = parse_number<ino_t>(text.substr(colon + 1));
    if (device && inode) return {.device = *device, .inode = *inode};
  }
  throw Error(Errc::invalid_argument, "is no namespace: " + quote(text));
}

NamespaceId namespace_at(const std::filesystem::path& path, const std::string& type) {
  // The path is the caller's: opening a FIFO there must not wait for its writer.
  const UniqueFd fd{
      check_sys(::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC), path.string())};
  struct statfs file_system {};
  check_sys(::fstatfs(fd.get(), &file_system), path.string());
  // First: to the driver of a device the ioctl may mean something else.
  if (file_system.f_type != NSFS_MAGIC || ::ioctl(fd.get(), NS_GET_NSTYPE) != flag_of(type))
    throw Error(Errc::invalid_argument, path.string() + ": is not a namespace of type " + type);
  struct stat status {};
  check_sys(::fstat(fd.get(), &status), path.string());
  return {.device = status.st_dev, .inode = status.st_ino};
}

NamespaceId namespace_of(const ProcessIdentity& process, const std::string& type) {
  const std::string pid = std::to_string(process.pid);
  const Error ended(Errc::peer_lost, "process " + pid + ": has ended");
  try {
    const NamespaceId id = namespace_at("/proc/" + pid + "/ns/" + type, type);
    // Checked afterwards: the pid cannot have been another process's before.
    if (!is_alive(process)) throw ended;
    return id;
  } catch (const Error& e) {
    if (e.code() == Errc::system && !is_alive(process)) throw ended;
    throw;
  }
}

bool has_process(const NamespaceId& id, const std::string& type) {
  std::error_code none;
  for (const auto& process : std::filesystem::directory_iterator("/proc", none)) {
    struct stat status {};
    const std::filesystem::path file = process.path() / "ns" / type;
    if (::stat(file.c_str(), &status) == 0 && status.st_dev == id.device &&
        status.st_ino == id.inode)
      return true;
  }
  return false;
}

bool is_the_hosts(const NamespaceId& id, const std::string& type) {
  for (const char* process : {"self", "1"}) {
    try {
      if (namespace_at(std::string("/proc/") + process + "/ns/" + type, type) == id) return true;
    } catch (const Error&) {
      continue;  // husk runs in a container, and may not look into its process 1
    }
  }
  return false;
}

}  // namespace husk
