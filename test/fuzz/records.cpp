// SPDX-License-Identifier: Apache-2.0
// What husk reads of earlier calls: state.json and vm.json, which may be damaged, or another
// version's.
#include "lib/oci/bundle.hpp"
#include "lib/runtime/record/container_record.hpp"
#include "lib/runtime/vm/vm_record.hpp"
#include "test/fuzz/fuzz.hpp"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace husk;
  fuzz::only_errors([&] {
    const nlohmann::json document = oci::parse_json(fuzz::text_of(data, size), "record");
    // Never fail: clean-up goes on with what there is.
    (void)runtime::read_left_overs(document);
    (void)runtime::read_vm_left_overs(document);
    fuzz::only_errors([&] { fuzz::require_round_trip(document.get<runtime::ContainerRecord>()); });
    fuzz::only_errors([&] { fuzz::require_round_trip(document.get<runtime::VmRecord>()); });
  });
  return 0;
}
