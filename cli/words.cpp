// SPDX-License-Identifier: Apache-2.0
// Go's flag package, which runc is built with, makes no difference between one dash and two, and
// go-runc (containerd) writes -no-subreaper.
#include "cli/words.hpp"

#include <CLI/CLI.hpp>
#include <algorithm>

namespace husk::cli {
namespace {

using Words = std::vector<std::string>;

bool is_option(const std::string& word) { return word.size() > 1 && word.front() == '-'; }

const CLI::Option* find_option(const CLI::App& command, const std::string& name) {
  for (const CLI::Option* option : command.get_options())
    if (option->check_lname(name) || option->check_sname(name)) return option;
  return nullptr;
}

const CLI::App* find_command(const CLI::App& app, const std::string& name) {
  const auto all =
      app.get_subcommands([&](const CLI::App* one) { return one->get_name() == name; });
  return all.empty() ? nullptr : all.front();
}

/// An option's word, and whether the next one is its value.
bool spell_option(const CLI::App& command, std::string& word) {
  const std::size_t dashes = word.starts_with("--") ? 2 : 1;
  const std::size_t equals = std::min(word.find('='), word.size());
  const std::string name = word.substr(dashes, equals - dashes);
  const CLI::Option* option = name.empty() ? nullptr : find_option(command, name);
  if (option == nullptr) return false;  // several letters in one word, or CLI11 says what is wrong
  const bool has_value = equals != word.size();
  if (dashes == 1 && (name.size() > 1 || has_value)) {
    // CLI11 would take "=json" for the value of "-f=json".
    const Words& known = option->get_lnames();
    word = "--" + (name.size() > 1 || known.empty() ? name : known.front()) + word.substr(equals);
  }
  return !has_value && option->get_items_expected_max() > 0;
}

/// "help", "help COMMAND": first is where that stands.
void spell_help(const CLI::App& app, Words& words, Words::iterator first) {
  const std::string command = first + 1 == words.end() ? "" : *(first + 1);
  words.erase(first, words.end());
  if (!command.empty()) words.push_back(command);
  // CLI11 would show its own help for a command that there is not.
  if (command.empty() || find_command(app, command) != nullptr) words.emplace_back("--help");
}

}  // namespace

Words spell_out(const CLI::App& app, Words words) {
  const CLI::App* command = &app;
  for (auto word = words.begin(); word != words.end() && *word != "--"; ++word) {
    if (is_option(*word)) {
      if (spell_option(*command, *word) && ++word == words.end()) break;
    } else if (command == &app) {
      if (*word == "help" || *word == "h") {
        spell_help(app, words, word);
        break;
      }
      command = find_command(app, *word);
      if (command == nullptr) break;
    } else if (command->get_prefix_command()) {
      break;
    }
  }
  return words;
}

}  // namespace husk::cli
