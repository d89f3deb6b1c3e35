// SPDX-License-Identifier: Apache-2.0
#include "lib/runtime/host/cloud_hypervisor.hpp"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <string>
#include <vector>

#include "lib/base/error.hpp"
#include "lib/base/parse_number.hpp"
#include "lib/base/subprocess.hpp"
#include "lib/base/text.hpp"

namespace husk::runtime {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t max_shown = 80;  ///< of what a program says of itself
constexpr std::array usual_places{"/usr/local/bin/cloud-hypervisor", "/usr/bin/cloud-hypervisor"};

bool is_executable(const std::filesystem::path& path) { return ::access(path.c_str(), X_OK) == 0; }

}  // namespace

std::filesystem::path find_cloud_hypervisor(
    const std::optional<std::filesystem::path>& configured) {
  if (configured) {
    if (is_executable(*configured)) return *configured;
    throw Error(Errc::unsupported, "hypervisor.cloud_hypervisor: " + configured->string() +
                                       " is not a program that can be executed");
  }
  const auto* const found = std::ranges::find_if(usual_places, is_executable);
  if (found != usual_places.end()) return *found;
  throw Error(Errc::unsupported, std::string("cloud-hypervisor is not installed (") +
                                     usual_places[0] + ", " + usual_places[1] +
                                     "); libvirt's daemon needs the program in its PATH");
}

std::optional<std::string> cloud_hypervisor_version(std::string_view printed) {
  constexpr std::string_view name = "cloud-hypervisor v";
  if (!printed.starts_with(name)) return std::nullopt;
  printed.remove_prefix(name.size());
  const std::string_view version = printed.substr(0, printed.find_first_not_of("0123456789."));
  if (version.empty() || !parse_number<unsigned>(version.substr(0, version.find('.'))))
    return std::nullopt;
  return std::string(version);
}

std::string identify_cloud_hypervisor(const std::filesystem::path& program) {
  const SubprocessResult result =
      run_subprocess({.program = program.string(),
                      .arguments = {"--version"},
                      .argv0 = {},
                      .environment = std::vector<std::string>{"PATH=/usr/bin:/bin"},
                      .stdin_text = {},
                      .timeout = 10s});
  const auto version = cloud_hypervisor_version(result.output);
  if (result.status != 0 || !version)
    throw Error(Errc::unsupported,
                program.string() + " is no cloud-hypervisor: --version printed " +
                    quote(result.output.substr(0, std::min(result.output.find('\n'), max_shown))));
  if (*parse_number<unsigned>(version->substr(0, version->find('.'))) < least_cloud_hypervisor)
    throw Error(Errc::unsupported, program.string() + ": version " + *version +
                                       " is too old: " + std::to_string(least_cloud_hypervisor) +
                                       ".0 or later is needed");
  return *version;
}

}  // namespace husk::runtime
