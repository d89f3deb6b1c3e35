// SPDX-License-Identifier: Apache-2.0
#include "lib/runtime/vm/pinned_settings.hpp"

#include <fcntl.h>
#include <sched.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <future>
#include <thread>
#include <utility>
#include <vector>

#include "lib/base/error.hpp"
#include "lib/base/files.hpp"
#include "lib/base/namespace_id.hpp"
#include "lib/base/unique_fd.hpp"
#include "lib/network/reserved_ports.hpp"

namespace husk::runtime {
namespace {

namespace fs = std::filesystem;
using Sysctls = std::map<std::string, std::string>;

constexpr std::size_t max_value = 4096;
constexpr const char* root = "/proc/sys";
constexpr std::array ipc_sysctls{"kernel/shmall",          "kernel/shmmax", "kernel/shmmni",
                                 "kernel/shm_rmid_forced", "kernel/msgmax", "kernel/msgmnb",
                                 "kernel/msgmni",          "kernel/sem"};
constexpr std::array per_link{"conf", "neigh"};

void read_one(const fs::path& file, Sysctls& into) {
  try {
    std::string value = read_file(file, max_value);
    while (!value.empty() && value.back() == '\n') value.pop_back();
    std::string name = file.lexically_relative(root).string();
    std::ranges::replace(name, '/', '.');
    into[name] = value;
  } catch (const Error&) {
    return;  // write-only, or gone with a module
  }
}

/// Only what a pod's maker could have written counts.
bool is_writable(const fs::directory_entry& entry) {
  return (entry.status().permissions() & fs::perms::owner_write) != fs::perms::none;
}

void read_below(const char* folder, Sysctls& into) {
  std::error_code gone;
  fs::recursive_directory_iterator entries(fs::path(root) / folder, gone);
  for (; entries != fs::recursive_directory_iterator(); entries.increment(gone)) {
    if (entries->is_directory()) {
      if (std::ranges::count(per_link, entries->path().filename()))
        entries.disable_recursion_pending();
    } else if (is_writable(*entries)) {
      read_one(entries->path(), into);
    }
  }
}

/// The sysctls of the namespaces that this thread is in.
Sysctls read_all() {
  Sysctls all;
  read_below("net", all);
  read_below("fs/mqueue", all);
  for (const char* name : ipc_sysctls) read_one(fs::path(root) / name, all);
  return all;
}

struct Namespace {
  int flag;
  UniqueFd fd;
};

/// hostIPC: CRI-O gives a pinned copy of the host's.
bool is_hosts(const std::string& type, const fs::path& path) {
  const std::string in_proc = type == "network" ? "net" : type;
  return is_the_hosts(namespace_at(path, in_proc), in_proc);
}

std::vector<Namespace> open_given(const oci::Spec& spec) {
  constexpr std::array<std::pair<const char*, int>, 3> types{
      {{"network", CLONE_NEWNET}, {"ipc", CLONE_NEWIPC}, {"uts", CLONE_NEWUTS}}};
  std::vector<Namespace> given;
  for (const auto& [type, flag] : types)
    for (const oci::Namespace& ns : spec.linux_.namespaces)
      if (ns.type == type && ns.path && !ns.path->empty() && !is_hosts(type, *ns.path))
        given.push_back(
            {flag, UniqueFd(check_sys(::open(ns.path->c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK),
                                      "open " + *ns.path))});
  return given;
}

/// A new uts namespace has the host's name: this is no pod's.
std::string read_host_name(const std::string& hosts) {
  utsname names{};
  check_sys(::uname(&names), "uname");
  return names.nodename == hosts ? "" : names.nodename;
}

/// Runs in a thread of its own, which never comes back into the host's namespaces.
PinnedSettings read_in(const std::vector<Namespace>& given) {
  utsname hosts{};
  check_sys(::uname(&hosts), "uname");
  int kinds = 0;
  for (const Namespace& ns : given) kinds |= ns.flag & (CLONE_NEWNET | CLONE_NEWIPC);
  check_sys(::unshare(kinds), "make namespaces");
  const Sysctls initial = read_all();
  for (const Namespace& ns : given) check_sys(::setns(ns.fd.get(), ns.flag), "enter a namespace");
  PinnedSettings found{.sysctl = {}, .host_name = read_host_name(hosts.nodename)};
  for (const auto& [name, value] : read_all()) {
    const auto before = initial.find(name);
    if (before != initial.end() && before->second != value) found.sysctl[name] = value;
  }
  return found;
}

/// The range that husk gave to a namespace whose VM has died since is not the pod's.
bool is_husks_own(const std::pair<const std::string, std::string>& sysctl) {
  if (sysctl.first != "net.ipv4.ip_local_port_range") return false;
  return network::parse_port_range(sysctl.second) == network::reserved_ports;
}

}  // namespace

PinnedSettings read_pinned_settings(const oci::Spec& spec) {
  const std::vector<Namespace> given = open_given(spec);
  std::packaged_task<PinnedSettings()> task([&] { return read_in(given); });
  std::future<PinnedSettings> done = task.get_future();
  std::thread(std::move(task)).join();
  PinnedSettings found = done.get();
  std::erase_if(found.sysctl, is_husks_own);
  return found;
}

void add_settings(oci::Spec& spec, const PinnedSettings& settings) {
  spec.linux_.sysctl.insert(settings.sysctl.begin(), settings.sysctl.end());
  if (!spec.hostname && !settings.host_name.empty()) spec.hostname = settings.host_name;
}

}  // namespace husk::runtime
