// SPDX-License-Identifier: Apache-2.0
// Docker's /etc/docker/daemon.json. Pure: text -> text.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

namespace husk::setup {

/// Adds the runtime "husk" with that program. All other keys and values stay, in their order, formatted anew with the
/// text's own indentation. Empty: the text has the runtime already. `text` may be empty, as for a file that is not there.
/// Throws invalid_argument for a text that is no JSON object or has a key twice or a number that is no integer, and where
/// there is a runtime "husk" with another program.
std::optional<std::string> add_runtime(const std::string& text,
                                       const std::filesystem::path& program);

/// Takes the runtime "husk" out. Empty: there is none. Throws invalid_argument for a text that is no JSON object, and where
/// "husk" is the default runtime, with which dockerd would not start again.
std::optional<std::string> remove_runtime(const std::string& text);

}  // namespace husk::setup
