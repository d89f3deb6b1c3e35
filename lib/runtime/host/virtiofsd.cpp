// SPDX-License-Identifier: Apache-2.0
#include "lib/runtime/host/virtiofsd.hpp"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>

#include "lib/base/advice.hpp"
#include "lib/base/error.hpp"
#include "lib/base/subprocess.hpp"
#include "lib/base/text.hpp"

namespace husk::runtime {
namespace {

using namespace std::chrono_literals;

// Debian 13 and Fedora; Arch; Debian 12 (scripts/install-virtiofsd, then its own, which is the older one in C).
constexpr std::array usual_places{"/usr/libexec/virtiofsd", "/usr/lib/virtiofsd",
                                  "/usr/local/libexec/husk-virtiofsd/virtiofsd",
                                  "/usr/lib/qemu/virtiofsd"};

constexpr std::size_t max_line = 80;  ///< of what a program says of itself

bool is_program(const std::filesystem::path& path) { return ::access(path.c_str(), X_OK) == 0; }

/// The rest of the line after the name, from its first digit.
std::string version_in(const std::string& printed) {
  const std::string line =
      one_plain_line(printed.substr(0, std::min(printed.find('\n'), max_line)));
  return line.substr(std::min(line.find_first_of("0123456789"), line.size()));
}

}  // namespace

std::filesystem::path find_virtiofsd(const std::optional<std::filesystem::path>& configured) {
  if (configured) {
    if (is_program(*configured)) return *configured;
    throw Error(Errc::unsupported, "files.virtiofsd: " + configured->string() +
                                       " is not a program that can be executed");
  }
  const auto* const found = std::ranges::find_if(usual_places, is_program);
  if (found != usual_places.end()) return *found;
  std::string places;
  for (const char* const place : usual_places)
    places += std::string(places.empty() ? "" : ", ") + place;
  throw Error(Errc::unsupported,
              "virtiofsd is not installed (" + places + "); " + advice::virtiofsd);
}

std::optional<bool> is_rust_version(const std::string& printed) {
  constexpr std::string_view name = "virtiofsd ", word = "version ";
  if (!printed.starts_with(name) || printed.size() == name.size()) return std::nullopt;
  return printed.compare(name.size(), word.size(), word) != 0;
}

Virtiofsd identify_virtiofsd(const std::filesystem::path& program) {
  const SubprocessResult result = run_subprocess({.program = program.string(),
                                                  .arguments = {"--version"},
                                                  .argv0 = {},
                                                  .environment = std::vector<std::string>{},
                                                  .stdin_text = {},
                                                  .timeout = 10s});
  const auto is_rust = is_rust_version(result.output);
  if (result.status != 0 || !is_rust)
    throw Error(Errc::unsupported,
                program.string() + " is no virtiofsd: --version printed " +
                    quote(result.output.substr(0, std::min(result.output.find('\n'), max_line))) +
                    " and ended with status " + std::to_string(result.status));
  return {.program = program, .is_rust = *is_rust, .version = version_in(result.output)};
}

}  // namespace husk::runtime
