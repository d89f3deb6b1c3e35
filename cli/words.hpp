// SPDX-License-Identifier: Apache-2.0
// The words of a command line, in the spellings that runc takes and CLI11 does not.
#pragma once

#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace husk::cli {

/// words: without the program's name. "-bundle X" becomes "--bundle X", "--b X" "-b X", "-f=json"
/// "--format=json", "--pid-file=" that and an empty word, and "help state" "state --help"; the rest
/// stays as it is. What follows exec's or ps's container id, or "--", is not looked at; what follows
/// a word that is no command is left out. Where a number or a flag is given as nothing, a blank stands
/// for it.
std::vector<std::string> spell_out(const CLI::App& app, const std::vector<std::string>& words);

}  // namespace husk::cli
