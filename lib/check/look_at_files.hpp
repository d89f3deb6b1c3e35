// SPDX-License-Identifier: Apache-2.0
// The files that config.toml may name, and that may be on a file system whose server does not answer.
#pragma once

#include <chrono>
#include <optional>

#include "lib/check/host.hpp"

namespace husk::check {

/// The first line of what the program prints for --version, from its first digit: "7.2.22 (Debian 1:7.2+dfsg)". Takes 10 s
/// at most where the file system answers.
Part ask_version(const std::filesystem::path& program);

/// Opens the file, and looks at the directories above as the user `uid`, where one is given. Takes no longer than
/// `patience`. Forks, as look_at_virtiofsd() does: call while the process has one thread.
GuestFile look_at_guest_file(const std::string& key, const std::filesystem::path& path,
                             const std::optional<unsigned>& uid,
                             std::chrono::milliseconds patience);

struct VirtiofsdLook {
  Part part{};
  bool is_rust = false;
};

/// `configured`: files.virtiofsd. Takes no longer than `patience`; the program itself has 20 s of it.
VirtiofsdLook look_at_virtiofsd(const std::optional<std::filesystem::path>& configured,
                                std::chrono::milliseconds patience);

}  // namespace husk::check
