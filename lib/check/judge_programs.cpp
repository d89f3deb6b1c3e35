// SPDX-License-Identifier: Apache-2.0
#include <utility>

#include "lib/base/advice.hpp"
#include "lib/check/judge.hpp"

namespace husk::check {
namespace {

constexpr const char* dead_filesystem =
    "start the server of the file system (NFS, FUSE), mount the file system anew, or name another "
    "path in /etc/husk/config.toml";

std::string with_version(const std::string& name, const Part& part) {
  return part.version.empty() ? name : name + " " + part.version;
}

Finding judge_hypervisor(const Host& host) {
  if (host.cloud_hypervisor) {
    if (host.cloud_hypervisor->error.empty())
      return {"cloud-hypervisor", Verdict::pass,
              with_version("Cloud Hypervisor", *host.cloud_hypervisor)};
    return {"cloud-hypervisor", Verdict::fail, host.cloud_hypervisor->error,
            "install Cloud Hypervisor 36 or later where libvirt's daemon finds it, or take uri = "
            "\"ch:///system\" out of /etc/husk/config.toml"};
  }
  if (host.qemu.error.empty()) return {"qemu", Verdict::pass, with_version("QEMU", host.qemu)};
  return {"qemu", Verdict::fail, host.qemu.error, advice::qemu};
}

/// The error of a create ends with its advice, which has a place of its own here.
Finding failure(const std::string& check, std::string text, const std::string& advice) {
  const std::string end = "; " + advice;
  if (text.ends_with(end)) text.resize(text.size() - end.size());
  return {check, Verdict::fail, std::move(text), advice};
}

Finding judge_libvirt(const Host& host) {
  const std::string& error = host.libvirt.error;
  if (error.ends_with(advice::libvirt)) return failure("libvirt", error, advice::libvirt);
  if (error.ends_with(advice::libvirt_unit)) return failure("libvirt", error, advice::libvirt_unit);
  if (!error.empty())
    return {"libvirt", Verdict::fail, error,
            std::string(advice::libvirt) + "; where it is installed: " + advice::libvirt_unit};
  if (!host.vm_user_error.empty()) return failure("libvirt", host.vm_user_error, advice::libvirt);
  return {"libvirt", Verdict::pass, with_version("libvirt", host.libvirt) + " answers"};
}

Finding judge_virtiofsd(const Host& host) {
  if (!host.virtiofsd.error.empty())
    return failure("virtiofsd", host.virtiofsd.error,
                   host.virtiofsd.is_unanswered ? dead_filesystem : advice::virtiofsd);
  if (!host.is_rust_virtiofsd)
    return {"virtiofsd", Verdict::warn,
            with_version("virtiofsd", host.virtiofsd) +
                " is the older one, in C: two file systems of the host have one device number in a "
                "container",
            "install the newer one, in Rust, if a container has volumes on two file systems "
            "(docs/files.md)"};
  return {"virtiofsd", Verdict::pass, with_version("virtiofsd", host.virtiofsd)};
}

Finding judge_guest(const Host& host) {
  for (const GuestFile& file : host.guest_files) {
    if (!file.error.empty())
      return {"guest", Verdict::fail, file.key + ": " + file.error,
              file.is_unanswered ? dead_filesystem : advice::guest_files};
    if (!file.closed_directory.empty())
      return {"guest", Verdict::fail,
              file.key + ": QEMU's user may not search " + file.closed_directory.string() +
                  ", which " + file.path.string() + " is in",
              "chmod o+x " + file.closed_directory.string()};
  }
  return {"guest", Verdict::pass,
          host.guest_kernel.empty() ? "the guest's files can be read"
                                    : "the guest's kernel is " + host.guest_kernel};
}

}  // namespace

std::vector<Finding> judge_programs(const Host& host) {
  return {judge_hypervisor(host), judge_libvirt(host), judge_virtiofsd(host), judge_guest(host)};
}

}  // namespace husk::check
