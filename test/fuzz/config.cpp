// SPDX-License-Identifier: Apache-2.0
// config.json, and exec's process.json: the reader, and the checks on the host and in the guest.
#include "agent/setup/mount_options.hpp"
#include "agent/setup/seccomp.hpp"
#include "lib/oci/bundle.hpp"
#include "lib/oci/check.hpp"
#include "test/fuzz/fuzz.hpp"

namespace {

using namespace husk;

void read_spec(const nlohmann::json& document) {
  const auto spec = document.get<oci::Spec>();
  fuzz::require(nlohmann::json(spec).get<oci::Spec>() == spec);
  oci::check_spec(spec);
  for (const oci::Mount& mount : spec.mounts)
    fuzz::only_errors([&] { (void)agent::parse_mount_options(mount.options); });
  if (spec.linux_.seccomp) (void)agent::SeccompProgram(*spec.linux_.seccomp).instructions();
}

void read_process(const nlohmann::json& document) {
  const auto process = document.get<oci::Process>();
  fuzz::require(nlohmann::json(process).get<oci::Process>() == process);
  oci::check_process(process);
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::only_errors([&] {
    const nlohmann::json document = oci::parse_json(fuzz::text_of(data, size), "document");
    fuzz::only_errors([&] { read_spec(document); });
    fuzz::only_errors([&] { read_process(document); });
  });
  return 0;
}
