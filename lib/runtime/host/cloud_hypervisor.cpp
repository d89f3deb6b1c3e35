// SPDX-License-Identifier: Apache-2.0
#include "lib/runtime/host/cloud_hypervisor.hpp"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <string>

#include "lib/base/error.hpp"

namespace husk::runtime {
namespace {

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

}  // namespace husk::runtime
