// SPDX-License-Identifier: Apache-2.0
#include "lib/base/ownership.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <string>

#include "lib/base/error.hpp"

namespace husk {

void check_own_file(int fd, const std::filesystem::path& path) {
  struct stat status {};
  check_sys(::fstat(fd, &status), "stat " + path.string());
  if (status.st_uid != ::geteuid())
    throw Error(Errc::invalid_argument, path.string() + ": belongs to user " +
                                            std::to_string(status.st_uid) + ", not to user " +
                                            std::to_string(::geteuid()));
  if ((status.st_mode & (S_IWGRP | S_IWOTH)) != 0)
    throw Error(Errc::invalid_argument, path.string() + ": other users may write to it");
}

}  // namespace husk
