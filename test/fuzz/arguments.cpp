// SPDX-License-Identifier: Apache-2.0
// The command line: words, each ended by a newline or a zero byte, read as husk's main does, up to
// the command that they name. That is not run: it is stopped before, and what it would call is not
// even linked (no_runtime.cpp).
#include <CLI/CLI.hpp>
#include <algorithm>
#include <sstream>

#include "cli/app.hpp"
#include "cli/signal_names.hpp"
#include "cli/words.hpp"
#include "test/fuzz/fuzz.hpp"

namespace {

using namespace husk;

std::vector<std::string> words_of(std::string_view text) {
  std::vector<std::string> words;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find_first_of(std::string_view("\n\0", 2)), text.size());
    words.emplace_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return words;
}

/// What the commands check in the words themselves.
void check_words(const CLI::App& command) {
  const std::string name = command.get_name();
  if (name == "exec" || name == "ps") cli::check_id_first(name, command.remaining());
  if (name == "kill" && command.count("signal") > 0)
    (void)cli::parse_signal(command["signal"]->as<std::string>());
}

void parse(std::vector<std::string> words) {
  cli::GlobalOptions options;
  int status = 0;
  const auto app = cli::make_app(options, status);
  struct AllRead {};
  // The app's own callback: called when all words are read, before what the commands do.
  app->parse_complete_callback([&app] {
    for (const CLI::App* command : app->get_subcommands())
      fuzz::only_errors([&] { check_words(*command); });
    throw AllRead();
  });
  try {
    words = cli::spell_out(*app, words);
    std::reverse(words.begin(), words.end());
    app->parse(std::move(words));
  } catch (const AllRead&) {
    // where main would return
  } catch (const CLI::Success& e) {  // --help, --version
    std::ostringstream out, err;
    app->exit(e, out, err);
  } catch (const CLI::ParseError&) {
    // what main reports
  }
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::only_errors([&] { parse(words_of(fuzz::text_of(data, size))); });
  return 0;
}
