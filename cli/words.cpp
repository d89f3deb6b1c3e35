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

/// An option's word as CLI11 takes it, with its value if that stands in it or is empty.
struct Spelled {
  Words words;
  const CLI::Option* wants_value = nullptr;  ///< its value is the next word
};

/// Go refuses nothing for a number and for a flag. CLI11 would take it for 0 and for yes; a blank it
/// refuses, too.
std::string spell_value(const CLI::Option& option, const std::string& value) {
  const bool is_text = option.get_type_name().starts_with("TEXT");
  return value.empty() && !is_text ? " " : value;
}

Spelled spell_option(const CLI::App& command, const std::string& word) {
  const std::size_t dashes = word.starts_with("--") ? 2 : 1;
  const std::size_t equals = std::min(word.find('='), word.size());
  const std::string name = word.substr(dashes, equals - dashes);
  const CLI::Option* option = name.empty() ? nullptr : find_option(command, name);
  // Several letters in one word, or CLI11 says what is wrong.
  if (option == nullptr) return {{word}};
  const bool has_value = equals != word.size(), takes_value = option->get_items_expected_max() > 0;
  // CLI11 would take "=json" for the value of "-f=json".
  const bool shorten = name.size() == 1 && !has_value;
  const Words& known = option->get_lnames();
  const std::string spelled = shorten                            ? "-" + name
                              : name.size() > 1 || known.empty() ? "--" + name
                                                                 : "--" + known.front();
  if (equals + 1 == word.size()) {
    const std::string value = spell_value(*option, "");
    // CLI11 would take the next word as the value of "--pid-file=".
    return takes_value ? Spelled{{spelled, value}} : Spelled{{spelled + "=" + value}};
  }
  return {{spelled + word.substr(equals)}, takes_value && !has_value ? option : nullptr};
}

/// "help", "help COMMAND": first is where that stands.
void spell_help(const CLI::App& app, Words& spelled, Words::const_iterator first,
                Words::const_iterator end) {
  const std::string command = first + 1 == end ? "" : *(first + 1);
  if (!command.empty()) spelled.push_back(command);
  // CLI11 would show its own help for a command that there is not.
  if (command.empty() || find_command(app, command) != nullptr) spelled.emplace_back("--help");
}

}  // namespace

Words spell_out(const CLI::App& app, const Words& words) {
  const CLI::App* command = &app;
  Words spelled;
  auto word = words.begin();
  for (; word != words.end() && *word != "--"; ++word) {
    if (is_option(*word)) {
      const Spelled option = spell_option(*command, *word);
      spelled.insert(spelled.end(), option.words.begin(), option.words.end());
      if (option.wants_value == nullptr) continue;
      if (++word == words.end()) break;
      spelled.push_back(spell_value(*option.wants_value, *word));
      continue;
    }
    if (command == &app) {
      if (*word == "help" || *word == "h") {
        spell_help(app, spelled, word, words.end());
        return spelled;
      }
      command = find_command(app, *word);
      // Only this one is named, whatever follows it.
      if (command == nullptr) {
        spelled.push_back(*word);
        return spelled;
      }
    } else if (command->get_prefix_command()) {
      break;
    }
    spelled.push_back(*word);
  }
  spelled.insert(spelled.end(), word, words.end());
  return spelled;
}

}  // namespace husk::cli
