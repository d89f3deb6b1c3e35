// SPDX-License-Identifier: Apache-2.0
#include "agent/container/tmpfs_table.hpp"

#include <fcntl.h>
#include <sys/mount.h>
#include <unistd.h>

#include "agent/setup/mount_calls.hpp"
#include "lib/base/error.hpp"

namespace husk::agent {

GuestTmpfs::GuestTmpfs(std::filesystem::path place, const std::vector<std::string>& options)
    : place_(std::move(place)) {
  const MountOptions parsed = parse_mount_options(options);
  const UniqueFd made = new_filesystem("tmpfs", "shm", parsed);
  set_attributes(made.get(), parsed.attributes, false);
  std::filesystem::create_directories(place_);
  const UniqueFd target{check_sys(::open(place_.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC),
                                  "open " + place_.string())};
  attach_mount(made.get(), target.get());
}

GuestTmpfs::~GuestTmpfs() {
  ::umount2(place_.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW);
  ::rmdir(place_.c_str());
}

std::shared_ptr<const GuestTmpfs> TmpfsTable::use(const guestcomm::SharedTmpfs& wanted) {
  std::erase_if(known_, [](const auto& one) { return one.second.expired(); });
  std::shared_ptr<const GuestTmpfs> used = known_[wanted.name].lock();
  if (!used)
    used = step("shared tmpfs " + wanted.name, [&] {
      return std::make_shared<const GuestTmpfs>(directory_ / wanted.name, wanted.options);
    });
  known_[wanted.name] = used;
  if (wanted.is_kept) kept_[wanted.name] = used;
  return used;
}

}  // namespace husk::agent
